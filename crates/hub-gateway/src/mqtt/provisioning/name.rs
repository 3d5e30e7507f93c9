//! The user name of a device that registers.

use hub_domain::provisioning::RegistrationId;

const FORM: &str =
    "the user name is not {id scope}/registrations/{registration id}/api-version={date}";

/// `{idScope}/registrations/{registrationId}/api-version=…[&ClientVersion=…]`. There is no question mark: a user name of a
/// hub's module called after that pattern has one.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mqtt) struct UserName<'a> {
    pub(super) id_scope: &'a str,
    pub(super) id: RegistrationId,
    pub(super) api_version: &'a str,
}

impl<'a> UserName<'a> {
    /// `None` when the name is not one of provisioning; an error when it is one that cannot be read.
    pub(in crate::mqtt) fn recognize(text: &'a str) -> Option<Result<Self, &'static str>> {
        let mut segments = text.splitn(4, '/');
        let (id_scope, registrations, id, query) = (
            segments.next()?,
            segments.next()?,
            segments.next()?,
            segments.next()?,
        );
        if registrations != "registrations" || query.starts_with('?') {
            return None;
        }
        Some(Self::parse(id_scope, id, query))
    }

    fn parse(id_scope: &'a str, id: &str, query: &'a str) -> Result<Self, &'static str> {
        let api_version = query
            .split('&')
            .find_map(|part| part.strip_prefix("api-version="))
            .filter(|version| !version.is_empty());
        if id_scope.is_empty() {
            return Err(FORM);
        }
        Ok(Self {
            id_scope,
            id: RegistrationId::parse(id).map_err(|_| FORM)?,
            api_version: api_version.ok_or(FORM)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        match UserName::recognize(text) {
            Some(Ok(name)) => format!("{} {} {}", name.id_scope, name.id, name.api_version),
            Some(Err(_)) => "refused".to_owned(),
            None => "a hub's".to_owned(),
        }
    }

    #[test]
    fn user_names_of_the_official_clients() {
        assert_eq!(
            check(
                "0ne00000000/registrations/d1/api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.14.0%28x%29"
            ),
            "0ne00000000 d1 2019-03-31"
        );
        assert_eq!(
            check("0ne0/registrations/A:b/ClientVersion=x%2F1&api-version=2021-06-01"),
            "0ne0 A:b 2021-06-01"
        );
    }

    #[test]
    fn names_of_hubs_stay_with_the_hub() {
        for text in [
            "",
            "hub.test/d1/?api-version=2021-04-12",
            "hub.test/registrations/m1/?api-version=2021-04-12",
            "hub.test/registrations/m1",
            "hub.test/d1/m1/api-version=2021-04-12",
        ] {
            assert_eq!(check(text), "a hub's", "{text:?}");
        }
    }

    #[test]
    fn what_is_meant_for_provisioning_and_cannot_be_read_is_refused() {
        for text in [
            "/registrations/d1/api-version=2019-03-31",
            "0ne0/registrations//api-version=2019-03-31",
            "0ne0/registrations/d 1/api-version=2019-03-31",
            "0ne0/registrations/d1/",
            "0ne0/registrations/d1/api-version=",
            "0ne0/registrations/d1/x/api-version=2019-03-31",
        ] {
            assert_eq!(check(text), "refused", "{text:?}");
        }
    }
}
