//! Messages: their sections as bytes, and a writer for them (part 3, section 3.2 "Message format").

mod properties;
mod sections;
mod writer;

pub use properties::{Header, MessageId, Properties};
pub use sections::{Body, DataSections, Sections, SequenceSections};
pub use writer::MessageWriter;
