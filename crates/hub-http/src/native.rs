//! The routes of `/api/v1`.

use axum::Router;

use crate::AppState;

/// The native routes, mounted under `/api/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
}
