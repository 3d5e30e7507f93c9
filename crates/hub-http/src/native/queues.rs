//! Queues for back ends.

use axum::Json;
use http::StatusCode;
use hub_api::native::{Moment, QueueBatch, QueueRecord};
use hub_domain::ServiceBoundKind;
use hub_engine::service_bound::ServiceBoundToken;

use super::{Failure, Scope};

pub(super) async fn receive(scope: Scope) -> Result<Json<QueueBatch>, Failure> {
    let (hub, kind) = (scope.hub()?.no, kind(&scope)?);
    let queue = &scope.engine().service_bound;
    let Some(batch) = queue.receive(&scope.ctx, hub, kind).await? else {
        return Ok(Json(QueueBatch::default()));
    };
    Ok(Json(QueueBatch {
        lock_token: Some(batch.token.to_string()),
        locked_until: Some(Moment(batch.locked_until)),
        records: batch
            .records
            .iter()
            .map(|stored| QueueRecord::of(&stored.record))
            .collect(),
    }))
}

pub(super) async fn complete(scope: Scope) -> Result<StatusCode, Failure> {
    let (hub, kind, token) = (scope.hub()?.no, kind(&scope)?, token(&scope)?);
    let queue = &scope.engine().service_bound;
    queue.complete(&scope.ctx, hub, kind, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn abandon(scope: Scope) -> Result<StatusCode, Failure> {
    let (hub, kind, token) = (scope.hub()?.no, kind(&scope)?, token(&scope)?);
    let queue = &scope.engine().service_bound;
    queue.abandon(&scope.ctx, hub, kind, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn kind(scope: &Scope) -> Result<ServiceBoundKind, Failure> {
    ServiceBoundKind::parse(scope.parameter("queue"))
        .ok_or_else(|| Failure::invalid("the queue must be feedback or filenotifications"))
}

fn token(scope: &Scope) -> Result<ServiceBoundToken, Failure> {
    ServiceBoundToken::parse(scope.parameter("batch"))
        .ok_or_else(|| Failure::invalid("the lock token is not one that this hub gave"))
}
