//! What expires.

use std::time::Duration;

use axum::Json;
use hub_api::native::{Expiry, ExpiryReport, ExpiryWhat, Moment};
use hub_domain::Timestamp;
use hub_domain::certificate::CertificateInfo;
use hub_domain::limits::PAGE_MAX;
use hub_domain::provisioning::{Attestation, CertificateSlot, ServicePermission, Slots};
use hub_engine::x509::Certificate;
use hub_provisioning::{RegistrationFilter, certificate_info};

use super::super::{Failure, Query, Scope};
use super::Administration;
use crate::ShownCertificate;

/// How far is looked ahead when nothing is said.
const WITHIN_DAYS_DEFAULT: u64 = 30;
/// The farthest.
const WITHIN_DAYS_MAX: u64 = 36_500;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Most lines of a report; those that expire next are in it.
const ITEMS_MAX: usize = 10_000;

pub(in super::super) async fn list(
    scope: Scope,
    mut query: Query,
) -> Result<Json<ExpiryReport>, Failure> {
    let administration = Administration::of(&scope)?;
    let days = query.take("within")?.unwrap_or(WITHIN_DAYS_DEFAULT);
    query.finish()?;
    if days > WITHIN_DAYS_MAX {
        return Err(Failure::invalid(format!(
            "within must be 0 to {WITHIN_DAYS_MAX} days"
        )));
    }
    let now = administration.ctx.now;
    let ahead = DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
    let mut report = Report {
        now,
        until: now.plus(ahead),
        items: Vec::new(),
        left_out: Vec::new(),
        is_cut: false,
    };
    let shown = scope.app.config().shown_certificate.as_ref();
    if let Some(leaf) = shown.and_then(ShownCertificate::der) {
        report.add(ExpiryWhat::Server, "server", None, &leaf);
    }
    hubs(&scope, &mut report)?;
    settings(&administration, &mut report)?;
    if administration.may(ServicePermission::EnrollmentRead) {
        groups(&administration, &mut report)?;
        enrollments(&administration, &mut report).await?;
    } else {
        let left_out = [ExpiryWhat::EnrollmentGroup, ExpiryWhat::Enrollment];
        report.left_out.extend(left_out);
    }
    if administration.may(ServicePermission::RegistrationStatusRead) {
        registrations(&administration, &mut report).await?;
    } else {
        report.left_out.push(ExpiryWhat::Registration);
    }
    report.sort_and_cut();
    Ok(Json(ExpiryReport {
        until: Moment(report.until),
        items: report.items,
        left_out: report.left_out,
        is_cut: report.is_cut,
    }))
}

/// The authorities of hubs are for the administrator.
fn hubs(scope: &Scope, report: &mut Report) -> Result<(), Failure> {
    if scope.back_end.is_some() {
        report.left_out.push(ExpiryWhat::HubCertificate);
        return Ok(());
    }
    let engine = scope.engine();
    for hub in engine.hubs.list() {
        for view in engine.certificates.list(&scope.ctx, hub.no)? {
            let name = view.certificate.name.as_str();
            let der = &view.certificate.der;
            report.add(
                ExpiryWhat::HubCertificate,
                hub.name.as_str(),
                Some(name),
                der,
            );
        }
    }
    Ok(())
}

fn settings(administration: &Administration<'_>, report: &mut Report) -> Result<(), Failure> {
    if !administration.may(ServicePermission::ServiceConfig) {
        let left_out = [ExpiryWhat::ProvisioningCertificate, ExpiryWhat::Issuer];
        report.left_out.extend(left_out);
        return Ok(());
    }
    let Administration { service, ctx } = administration;
    for view in service.authorities.list(ctx)? {
        let certificate = &view.certificate;
        let (what, name) = (
            ExpiryWhat::ProvisioningCertificate,
            certificate.name.as_str(),
        );
        report.add(what, name, None, &certificate.der);
    }
    for issuer in &service.credentials.issuers(ctx)? {
        if let Some(der) = issuer.chain.first() {
            report.add(ExpiryWhat::Issuer, issuer.name.as_str(), None, der);
        }
    }
    Ok(())
}

fn groups(
    Administration { service, ctx }: &Administration<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let page = service.groups.list(ctx, after.as_deref(), PAGE_MAX)?;
        for group in &page {
            let id = group.id.as_str();
            report.add_attestation(ExpiryWhat::EnrollmentGroup, id, &group.attestation);
        }
        match page.last() {
            Some(last) if page.len() == PAGE_MAX => after = Some(last.id.key().to_owned()),
            Some(_) | None => return Ok(()),
        }
    }
}

async fn enrollments(
    Administration { service, ctx }: &Administration<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let room = &service.enrollments;
        let page = room.list(ctx, after.as_deref(), PAGE_MAX).await?;
        for enrollment in &page {
            let id = enrollment.id.as_str();
            report.add_attestation(ExpiryWhat::Enrollment, id, &enrollment.attestation);
        }
        report.sort_and_cut();
        match page.last() {
            Some(last) if page.len() == PAGE_MAX => after = Some(last.id.key().to_owned()),
            Some(_) | None => return Ok(()),
        }
    }
}

/// Devices that an authority vouches for: their own certificates are known since they registered.
async fn registrations(
    Administration { service, ctx }: &Administration<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let room = &service.registrations;
        let page = room.list(ctx, RegistrationFilter::All, after.as_deref(), PAGE_MAX);
        let page = page.await?;
        for registration in &page {
            if let Some(shown) = &registration.certificates
                && shown.signing.is_some()
            {
                let name = registration.id.as_str();
                report.add_info(ExpiryWhat::Registration, name, None, shown.device.clone());
            }
        }
        report.sort_and_cut();
        match page.last() {
            Some(last) if page.len() == PAGE_MAX => after = Some(last.id.key().to_owned()),
            Some(_) | None => return Ok(()),
        }
    }
}

struct Report {
    now: Timestamp,
    until: Timestamp,
    items: Vec<Expiry>,
    left_out: Vec<ExpiryWhat>,
    is_cut: bool,
}

impl Report {
    fn add(&mut self, what: ExpiryWhat, name: &str, slot: Option<&str>, der: &[u8]) {
        // Most of a million do not expire: nothing more is read of those.
        let is_soon = Certificate::read(der).is_ok_and(|read| read.not_after() <= self.until);
        if !is_soon {
            return;
        }
        if let Ok(info) = certificate_info(der) {
            self.add_info(what, name, slot, info);
        }
    }

    fn add_info(
        &mut self,
        what: ExpiryWhat,
        name: &str,
        slot: Option<&str>,
        info: CertificateInfo,
    ) {
        if info.not_after > self.until {
            return;
        }
        self.items.push(Expiry {
            what,
            name: name.to_owned(),
            slot: slot.map(str::to_owned),
            subject: info.subject,
            thumbprint: info.sha1,
            expiry: Moment(info.not_after),
            is_expired: info.not_after < self.now,
        });
    }

    fn add_attestation(&mut self, what: ExpiryWhat, name: &str, attestation: &Attestation) {
        match attestation {
            Attestation::ClientCertificates(slots) | Attestation::SigningCertificates(slots) => {
                self.add_slots(what, name, slots);
            }
            Attestation::Tpm { .. }
            | Attestation::AuthorityReferences(_)
            | Attestation::SymmetricKey { .. } => {}
        }
    }

    fn add_slots(&mut self, what: ExpiryWhat, name: &str, slots: &Slots<CertificateSlot>) {
        let both = [("primary", &slots.primary), ("secondary", &slots.secondary)];
        for (slot, certificate) in both {
            if let Some(certificate) = certificate {
                self.add(what, name, Some(slot), &certificate.der);
            }
        }
    }

    fn sort_and_cut(&mut self) {
        self.items.sort_by_key(|item| item.expiry);
        self.is_cut |= self.items.len() > ITEMS_MAX;
        self.items.truncate(ITEMS_MAX);
    }
}
