//! `file …`.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use hub_api::client::{Client, FileStream, PageQuery};
use hub_api::native::File;
use hub_domain::limits::PAGE_MAX;

use crate::arguments::{FileCommand, FileList, OutputFormat};
use crate::connect::Connected;
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: FileCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        FileCommand::List(list) => {
            let files = self::list(client, hub, &list).await?;
            let output = list.common.output;
            render::answer(output, &files, |files| render::files(files), out)
        }
        FileCommand::Download(download) => {
            let stream = client.file(hub, &download.name).await?;
            match download.file {
                None => copy(stream, out).await,
                Some(path) => save(stream, &path).await,
            }
        }
        FileCommand::Delete(delete) => {
            client.delete_file(hub, &delete.name).await?;
            match delete.common.output {
                OutputFormat::Table => Ok(writeln!(out, "deleted {}", delete.name)?),
                OutputFormat::Json => Ok(()),
            }
        }
    }
}

async fn list(client: &Client, hub: &str, list: &FileList) -> Result<Vec<File>, Failure> {
    let max = list.max.unwrap_or(usize::MAX);
    let mut files = Vec::new();
    let mut query = PageQuery::default();
    loop {
        query.max = Some(PAGE_MAX.min(max - files.len()));
        if query.max == Some(0) {
            return Ok(files);
        }
        let device = list.device_id.as_deref();
        let page = client.list_files(hub, device, &query).await?;
        files.extend(page.items);
        if page.next.is_none() {
            return Ok(files);
        }
        query.after = page.next;
    }
}

/// Writes beside the place first, so that half a file never looks like a whole one.
async fn save(stream: FileStream, path: &Path) -> Result<(), Failure> {
    let unwritable = || format!("{} cannot be written", path.display());
    if path.exists() {
        return Err(Failure::usage(format!("{} exists already", path.display())));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = fs::File::create(&part).with_context(unwritable)?;
    if let Err(failure) = copy(stream, &mut file).await {
        drop(fs::remove_file(&part));
        return Err(failure);
    }
    file.sync_all().with_context(unwritable)?;
    Ok(fs::rename(&part, path).with_context(unwritable)?)
}

async fn copy(mut stream: FileStream, to: &mut dyn Write) -> Result<(), Failure> {
    while let Some(bytes) = stream.next().await? {
        to.write_all(&bytes)?;
    }
    Ok(to.flush()?)
}
