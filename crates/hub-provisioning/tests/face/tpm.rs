//! Devices with a TPM.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::SymmetricKey;
use hub_domain::provisioning::{Attestation, Refusal, Terms};
use hub_engine::IfMatch;
use hub_provisioning::{
    Credential, NewAttestation, NewEnrollment, RegisterRequest, Registered, TpmKeys,
};
use hub_storage::Store as _;
use hub_storage::store::{Op, Unit};

use crate::support::{World, key, registration, said};

// Read from a TPM in software.
const ENDORSEMENT_KEY: &str = "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAnXhYo+vGg30IVRAF++pA1Ap1EddOK3hDtwU/tsHViuFE7QirLIAegIT3TPzb66b4aOHqq4oFd4qaFqBxAdYL97Mz/HS5t299qdMpUKx91fBL4GSbFHtxCkC0LTZEJwKdsQUnRXIDMuopqV9Iz9/T9vL/0ce02G7nClNvPemf7rVH8CjmPm36lEgZgsa4BtIgd07B5Wu5mfx48yPICQKadHsj1Fc2Gkf8z/x8zFpkmuHUBquVC3Hl61YewN6yZBsHLVYoA18k2lhD/Muu4COZclhtcMTRph4T23DvreECIcGQpELduPVIogZyfKXCePeXoWyl33L/JZAAO1dTw3jZPQ==";
const STORAGE_ROOT_KEY: &str = "ARoAAQALAAMEcgAAAAYAgABDABAIAAAAAAABAJEli15Y+vkPr4rlsMJ2w7cx1VJc/lH0n7ioWa7L7qdtvSlz+BxKb9krxxYWZRzEDTkBHs8ahr9RrfTKMgjnfiBmRER5VLzf7DkU5nXIsdMhX61aX4N4YVsYqflxoy2IkPKByVOheaUYnasxcipr/5tpsSxpLylzNjXfs4YRNjxskBtmGH7i2DKi5aXjDWGVFdomLW44p3xrhGuq3FaBZMr7j4QEdB4TyCDAToBf1Eibdj+m/chpc+SPLchWhE1FAGlWT863+mHL2JuPVmr1JaiKZk6GIKbQ8TDWBL9V8s5v/uFvt9zBlNmId47j+fOW/N+wo1ak/mF/fuLMxPmeM7M=";

fn endorsement_key() -> Vec<u8> {
    STANDARD.decode(ENDORSEMENT_KEY).unwrap()
}

fn storage_root_key() -> Vec<u8> {
    STANDARD.decode(STORAGE_ROOT_KEY).unwrap()
}

fn attestation(endorsement_key: &[u8], storage_root_key: Option<Vec<u8>>) -> NewAttestation {
    NewAttestation::Tpm {
        endorsement_key: endorsement_key.to_vec(),
        storage_root_key,
    }
}

fn request(storage_root_key: Option<Vec<u8>>) -> RegisterRequest {
    RegisterRequest {
        tpm: Some(TpmKeys {
            endorsement_key: endorsement_key(),
            storage_root_key,
        }),
        ..RegisterRequest::default()
    }
}

impl World {
    async fn put_tpm(&self, attestation: NewAttestation, if_match: IfMatch) -> Result<(), String> {
        let new = NewEnrollment {
            id: registration("d"),
            device: None,
            attestation,
            terms: Terms::default(),
            information: None,
        };
        let enrollments = &self.service.enrollments;
        let put = enrollments.put(&self.admin(), new, if_match).await;
        put.map(drop).map_err(said)
    }

    async fn enroll_tpm(&self) {
        let attestation = attestation(&endorsement_key(), None);
        self.put_tpm(attestation, IfMatch::Absent).await.unwrap();
    }

    /// Registers with its TPM; `challenged`, or the status.
    async fn show_tpm(&self, credential: Credential<'_>) -> Result<&'static str, String> {
        let call = self.call("d", credential);
        let request = request(Some(storage_root_key()));
        let registered = self.service.registrations.register(&call, request).await;
        Ok(match registered.map_err(said)? {
            Registered::Accepted(status) if status.is_final() => "final",
            Registered::Accepted(_) => "begun",
            Registered::Challenge(_) => "challenged",
        })
    }

    /// Asks for a challenge; the key that only the TPM can read.
    async fn challenged(&self, credential: Credential<'_>) -> SymmetricKey {
        let key = self.next_key();
        assert_eq!(self.show_tpm(credential).await, Ok("challenged"));
        key
    }

    async fn refused(&self) -> Vec<String> {
        let registrations = &self.service.registrations;
        let refusals = registrations
            .refusals(&self.admin(), None, 1_000)
            .await
            .unwrap();
        let line = |one: &Refusal| format!("{} {}", one.code, one.message);
        refusals.iter().map(line).collect()
    }
}

#[tokio::test]
async fn keys_that_no_challenge_can_be_made_for_are_refused_when_they_are_enrolled() {
    let world = World::with(&["a.test"]).await;
    let malformed =
        Err("400004 tpm.endorsementKey: the key is not a TPM2B_PUBLIC structure".to_owned());
    let put = world
        .put_tpm(attestation(&[0, 1, 2], None), IfMatch::Absent)
        .await;
    assert_eq!(put, malformed);
    let bad_storage = attestation(&endorsement_key(), Some(vec![0, 1, 2]));
    assert_eq!(
        world.put_tpm(bad_storage, IfMatch::Absent).await,
        Err("400004 tpm.storageRootKey: the key is not a TPM2B_PUBLIC structure".to_owned())
    );
    world.enroll_tpm().await;
    let put = world
        .put_tpm(attestation(&[0, 1, 2], None), IfMatch::Any)
        .await;
    assert_eq!(put, malformed);
    let both = attestation(&endorsement_key(), Some(storage_root_key()));
    assert_eq!(world.put_tpm(both, IfMatch::Any).await, Ok(()));
}

#[tokio::test]
async fn a_bad_key_that_is_stored_keeps_nobody_from_other_changes() {
    let world = World::with(&["a.test"]).await;
    world.enroll_tpm().await;
    let mut stored = world
        .store
        .enrollment(&registration("d"))
        .await
        .unwrap()
        .unwrap();
    let expected = Some(stored.etag.clone());
    stored.attestation = Attestation::Tpm {
        endorsement_key: vec![0, 1, 2].into(),
        storage_root_key: Some(vec![3].into()),
    };
    let op = Op::PutEnrollment {
        next: Box::new(stored),
        expected,
    };
    world.store.submit(Unit::new(op, Vec::new())).await.unwrap();
    world
        .change_terms("d", |terms| terms.capabilities.iot_edge = true)
        .await;
    let same = attestation(&[0, 1, 2], Some(vec![3]));
    assert_eq!(world.put_tpm(same, IfMatch::Any).await, Ok(()));
}

#[tokio::test]
async fn a_token_of_a_former_challenge_gets_a_new_one() {
    let mut world = World::with(&["a.test"]).await;
    world.enroll_tpm().await;
    let first = world.challenged(Credential::None).await;
    let token = world.token("d", &first);
    assert_eq!(world.show_tpm(Credential::Token(&token)).await, Ok("begun"));
    // A challenge registers once: the client that comes again with its token begins anew.
    let second = world.challenged(Credential::Token(&token)).await;
    let token = world.token("d", &second);
    assert_eq!(world.show_tpm(Credential::Token(&token)).await, Ok("begun"));
    // Challenges do not outlive a restart.
    let third = world.challenged(Credential::None).await;
    world.crash().await;
    let token = world.token("d", &third);
    let fourth = world.challenged(Credential::Token(&token)).await;
    assert!(world.refused().await[0].starts_with("401002 "));
    let token = world.token("d", &fourth);
    assert_eq!(world.show_tpm(Credential::Token(&token)).await, Ok("begun"));
    assert!(world.refused().await.is_empty());
}

#[tokio::test]
async fn a_bad_token_of_a_device_without_a_tpm_is_refused_whatever_keys_come_with_it() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    let token = world.token("d", &key(9));
    let told = world.show_tpm(Credential::Token(&token)).await.unwrap_err();
    assert!(told.starts_with("401002 "), "{told}");
    assert_eq!(
        world.refused().await,
        ["401002 the token's signature is wrong"]
    );
}

#[tokio::test]
async fn devices_that_are_not_challenged_are_noted() {
    let world = World::with(&["a.test"]).await;
    world.enroll_tpm().await;
    let registrations = &world.service.registrations;
    let mut call = world.call("d", Credential::None);
    for (storage_root_key, expected) in [
        (None, "400004 tpm.storageRootKey is missing"),
        (
            Some(vec![1]),
            "400004 tpm.storageRootKey: the key is not a TPM2B_PUBLIC structure",
        ),
    ] {
        let registered = registrations
            .register(&call, request(storage_root_key))
            .await;
        assert!(registered.is_err());
        assert_eq!(world.refused().await, [expected]);
    }
    call.id_scope = "0neFFFFFFFF";
    let registered = registrations.register(&call, request(None)).await;
    assert!(registered.is_err());
    assert_eq!(
        world.refused().await,
        ["404001 no provisioning service has this id scope"]
    );
}
