//! The calls on message routing.

use super::{Call, Client, ClientError};
use crate::native::{
    Enrichment, FallbackRoute, OperationId, Page, Route, Routing, RoutingTest, RoutingTestResult,
};

impl Client {
    /// Where the messages and events of a hub go.
    ///
    /// # Errors
    /// See [`ClientError`]; so for every call below.
    pub async fn routing(&self, hub: &str) -> Result<Routing, ClientError> {
        self.fetch(Call::new(OperationId::GetRouting, &[hub])).await
    }

    /// Sets what becomes of telemetry that no route takes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_fallback_route(
        &self,
        hub: &str,
        fallback: &FallbackRoute,
    ) -> Result<FallbackRoute, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceFallbackRoute, &[hub]),
            fallback,
        )
        .await
    }

    /// Creates or replaces an enrichment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_enrichment(
        &self,
        hub: &str,
        enrichment: &Enrichment,
    ) -> Result<Enrichment, ClientError> {
        self.exchange(
            Call::new(OperationId::PutEnrichment, &[hub, &enrichment.key]),
            enrichment,
        )
        .await
    }

    /// Deletes an enrichment.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_enrichment(&self, hub: &str, key: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteEnrichment, &[hub, key]))
            .await
    }

    /// Tries a message.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn test_routing(
        &self,
        hub: &str,
        test: &RoutingTest,
    ) -> Result<RoutingTestResult, ClientError> {
        self.exchange(Call::new(OperationId::TestRouting, &[hub]), test)
            .await
    }

    /// The routes of a hub.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_routes(&self, hub: &str) -> Result<Page<Route>, ClientError> {
        self.fetch(Call::new(OperationId::ListRoutes, &[hub])).await
    }

    /// Creates a route.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_route(&self, hub: &str, route: &Route) -> Result<Route, ClientError> {
        self.exchange(Call::new(OperationId::CreateRoute, &[hub]), route)
            .await
    }

    /// One route.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn route(&self, hub: &str, name: &str) -> Result<Route, ClientError> {
        self.fetch(Call::new(OperationId::GetRoute, &[hub, name]))
            .await
    }

    /// Replaces a route.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replace_route(&self, hub: &str, route: &Route) -> Result<Route, ClientError> {
        self.exchange(
            Call::new(OperationId::ReplaceRoute, &[hub, &route.name]),
            route,
        )
        .await
    }

    /// Deletes a route.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_route(&self, hub: &str, name: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteRoute, &[hub, name]))
            .await
    }
}
