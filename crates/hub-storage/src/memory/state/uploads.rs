//! Open uploads.

use hub_domain::Timestamp;
use hub_domain::upload::{CorrelationId, Upload};

use super::State;
use crate::Conflict;
use crate::store::{OpResult, Ordinal};

impl State {
    pub(super) fn begin_upload(
        &mut self,
        ordinal: Ordinal,
        upload: Upload,
        open_max: u32,
    ) -> Result<OpResult, Conflict> {
        if !self.identities.rows().contains_key(&ordinal) {
            return Err(Conflict::NotFound);
        }
        let own = self
            .uploads
            .rows()
            .iter()
            .filter(|((of, _), _)| *of == ordinal);
        let open = own
            .filter(|(_, other)| other.expires > upload.begun)
            .count();
        if open >= open_max as usize {
            return Err(Conflict::TooManyUploads);
        }
        self.uploads
            .put((ordinal, upload.correlation.clone()), upload);
        Ok(OpResult::Done)
    }

    pub(super) fn finish_upload(
        &mut self,
        ordinal: Ordinal,
        correlation: CorrelationId,
    ) -> Result<OpResult, Conflict> {
        let key = (ordinal, correlation);
        if !self.uploads.rows().contains_key(&key) {
            return Err(Conflict::NotFound);
        }
        self.uploads.remove(&key);
        Ok(OpResult::Done)
    }

    pub(super) fn clear_uploads(&mut self, ordinal: Ordinal) {
        let keys: Vec<_> = self.uploads.rows().keys().cloned().collect();
        for key in keys.iter().filter(|(of, _)| *of == ordinal) {
            self.uploads.remove(key);
        }
    }

    pub(in super::super) fn upload(
        &self,
        ordinal: Ordinal,
        correlation: &CorrelationId,
    ) -> Option<Upload> {
        let key = (ordinal, correlation.clone());
        self.uploads.rows().get(&key).cloned()
    }

    pub(in super::super) fn expired_uploads(
        &self,
        before: Timestamp,
        max: usize,
    ) -> Vec<(Ordinal, Upload)> {
        let all = self.uploads.rows().iter();
        all.filter(|(_, upload)| upload.expires <= before)
            .map(|((ordinal, _), upload)| (*ordinal, upload.clone()))
            .take(max)
            .collect()
    }
}
