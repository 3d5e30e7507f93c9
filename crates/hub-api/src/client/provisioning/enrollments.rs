//! The calls on enrollments, of single devices and of groups.

use super::super::calls::paged;
use super::super::{Call, Client, ClientError, PageQuery};
use crate::native::{
    Enrollment, EnrollmentAttestation, EnrollmentGroup, EnrollmentGroupSettings,
    EnrollmentSettings, KeyRoll, KeyRollResult, KeyRollTarget, OperationId, Page,
};

impl Client {
    /// Individual enrollments in the order of their ids.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_enrollments(
        &self,
        page: &PageQuery,
    ) -> Result<Page<Enrollment>, ClientError> {
        self.fetch(paged(OperationId::ListEnrollments, &[], page))
            .await
    }

    /// Enrolls a device.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_enrollment(
        &self,
        body: &EnrollmentSettings,
    ) -> Result<Enrollment, ClientError> {
        self.exchange(Call::new(OperationId::CreateEnrollment, &[]), body)
            .await
    }

    /// An individual enrollment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enrollment(&self, registration: &str) -> Result<Enrollment, ClientError> {
        self.fetch(Call::new(OperationId::GetEnrollment, &[registration]))
            .await
    }

    /// Replaces an individual enrollment, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_enrollment(
        &self,
        registration: &str,
        body: &EnrollmentSettings,
        etag: Option<&str>,
    ) -> Result<Enrollment, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceEnrollment, &[registration]).if_match(etag),
            body,
        )
        .await
    }

    /// Deletes an individual enrollment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_enrollment(
        &self,
        registration: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteEnrollment, &[registration]).if_match(etag))
            .await
    }

    /// What an individual enrollment takes as proof, with its keys.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enrollment_keys(
        &self,
        registration: &str,
    ) -> Result<EnrollmentAttestation, ClientError> {
        self.fetch(Call::new(OperationId::GetEnrollmentKeys, &[registration]))
            .await
    }

    /// Rolls the keys of an individual enrollment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roll_enrollment_keys(
        &self,
        registration: &str,
        body: &KeyRoll,
        etag: Option<&str>,
    ) -> Result<EnrollmentAttestation, ClientError> {
        self.exchange(
            Call::new(OperationId::RollEnrollmentKeys, &[registration]).if_match(etag),
            body,
        )
        .await
    }

    /// Enrollment groups in the order of their ids.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_enrollment_groups(
        &self,
        page: &PageQuery,
    ) -> Result<Page<EnrollmentGroup>, ClientError> {
        self.fetch(paged(OperationId::ListEnrollmentGroups, &[], page))
            .await
    }

    /// Enrolls a group of devices.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_enrollment_group(
        &self,
        body: &EnrollmentGroupSettings,
    ) -> Result<EnrollmentGroup, ClientError> {
        self.exchange(Call::new(OperationId::CreateEnrollmentGroup, &[]), body)
            .await
    }

    /// An enrollment group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enrollment_group(&self, group: &str) -> Result<EnrollmentGroup, ClientError> {
        self.fetch(Call::new(OperationId::GetEnrollmentGroup, &[group]))
            .await
    }

    /// Replaces an enrollment group, while `etag` holds if there is one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_enrollment_group(
        &self,
        group: &str,
        body: &EnrollmentGroupSettings,
        etag: Option<&str>,
    ) -> Result<EnrollmentGroup, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceEnrollmentGroup, &[group]).if_match(etag),
            body,
        )
        .await
    }

    /// Deletes an enrollment group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_enrollment_group(
        &self,
        group: &str,
        etag: Option<&str>,
    ) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteEnrollmentGroup, &[group]).if_match(etag))
            .await
    }

    /// What an enrollment group takes as proof, with its keys.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enrollment_group_keys(
        &self,
        group: &str,
    ) -> Result<EnrollmentAttestation, ClientError> {
        self.fetch(Call::new(OperationId::GetEnrollmentGroupKeys, &[group]))
            .await
    }

    /// Rolls the keys of an enrollment group.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roll_enrollment_group_keys(
        &self,
        group: &str,
        body: &KeyRoll,
        etag: Option<&str>,
    ) -> Result<EnrollmentAttestation, ClientError> {
        self.exchange(
            Call::new(OperationId::RollEnrollmentGroupKeys, &[group]).if_match(etag),
            body,
        )
        .await
    }

    /// Begins to roll the keys of all enrollments of a kind, or rolls those of the next page.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn roll_all_keys(&self, body: &KeyRollTarget) -> Result<KeyRollResult, ClientError> {
        self.exchange(Call::new(OperationId::RollAllKeys, &[]), body)
            .await
    }
}
