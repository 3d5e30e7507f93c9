//! What may be set while the service runs, and who may.

use std::time::Duration;

use hub_domain::HostName;
use hub_domain::limits::{ADDRESS_RANGES_MAX, SERVICE_POLICIES_MAX};
use hub_domain::provisioning::{
    AddressRange, AllocationPolicy, Link, LinkedHub, OWNER_POLICY, Region, ServicePermission,
    ServicePermissions, ServicePolicyName,
};
use hub_provisioning::{Caller, HubLink, KeyRoll, NewServicePolicy, ServicePolicyChange};

use super::support::{World, key, said};

const ALL: [ServicePermission; 5] = ServicePermission::ALL;

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn region(text: &str) -> Region {
    Region::parse(text).unwrap()
}

fn range(text: &str) -> AddressRange {
    AddressRange::parse(text, region("eu")).unwrap()
}

fn policy(name: &str, permissions: &[ServicePermission]) -> NewServicePolicy {
    NewServicePolicy {
        name: ServicePolicyName::parse(name).unwrap(),
        permissions: ServicePermissions::of(permissions),
        primary: None,
        secondary: None,
    }
}

fn remote(name: &str) -> LinkedHub {
    LinkedHub {
        link: link(1),
        ..LinkedHub::own(host(name))
    }
}

fn link(fill: u8) -> Link {
    Link::Remote {
        policy: "iothubowner".to_owned(),
        key: key(fill),
        port: None,
    }
}

#[tokio::test]
async fn settings_need_the_right_to_configure_the_service() {
    let world = World::with(&["a.test"]).await;
    let ctx = world.policy(&[
        ServicePermission::EnrollmentWrite,
        ServicePermission::RegistrationStatusWrite,
    ]);
    let (s, a) = (&world.service.service, host("a.test"));
    let latency = vec![(region("eu"), a.clone(), Duration::ZERO)];
    let refused = [
        s.allocation(&ctx).map(drop),
        s.set_allocation(&ctx, AllocationPolicy::Hashed).await,
        s.policies(&ctx).map(drop),
        s.policy(&ctx, OWNER_POLICY).map(drop),
        s.create_policy(&ctx, policy("p", &[])).await.map(drop),
        s.change_policy(&ctx, OWNER_POLICY, ServicePolicyChange::default())
            .await
            .map(drop),
        s.roll_policy_keys(&ctx, OWNER_POLICY, KeyRoll::Both)
            .await
            .map(drop),
        s.delete_policy(&ctx, OWNER_POLICY).await,
        s.list_linked_hubs(&ctx).map(drop),
        s.linked_hub(&ctx, &a).map(drop),
        s.link_hub(&ctx, remote("far.test")).await.map(drop),
        s.set_link(&ctx, &a, HubLink::default(), None)
            .await
            .map(drop),
        s.unlink_hub(&ctx, &a).await,
        s.address_ranges(&ctx).map(drop),
        s.put_address_range(&ctx, range("::/0")).await,
        s.replace_address_ranges(&ctx, Vec::new()).await,
        s.delete_address_range(&ctx, &range("::/0")).await,
        s.latencies(&ctx).map(drop),
        s.set_latencies(&ctx, latency.clone()).await,
        s.replace_latencies(&ctx, latency).await,
        s.delete_latency(&ctx, &region("eu"), &a).await,
    ];
    for (number, result) in refused.into_iter().enumerate() {
        let text = result.map_err(said).expect_err("it may not");
        let wanted = "403001 this needs the permission ServiceConfig";
        assert_eq!(text, wanted, "{number}");
    }
}

#[tokio::test]
async fn a_policy_is_made_changed_rolled_and_deleted() {
    let world = World::with(&["a.test"]).await;
    let (ctx, s) = (world.admin(), &world.service.service);
    let new = NewServicePolicy {
        primary: Some(key(1)),
        ..policy("back-end", &[ServicePermission::EnrollmentWrite])
    };
    let made = s.create_policy(&ctx, new).await.unwrap();
    assert!(made.primary == key(1) && made.secondary != key(1));
    let twice = policy("BACK-END", &[ServicePermission::EnrollmentRead]);
    let twice = s.create_policy(&ctx, twice).await.map(drop);
    assert_eq!(
        twice.map_err(said),
        Err("409201 there is a policy BACK-END already".to_owned())
    );
    let change = ServicePolicyChange {
        permissions: Some(ServicePermissions::of(&[ServicePermission::EnrollmentRead])),
        secondary: Some(key(2)),
        ..ServicePolicyChange::default()
    };
    let changed = s.change_policy(&ctx, "Back-End", change).await.unwrap();
    assert!(changed.primary == key(1) && changed.secondary == key(2));
    assert!(
        !changed
            .permissions
            .allows(ServicePermission::EnrollmentWrite)
    );
    let rolled = s.roll_policy_keys(&ctx, "back-end", KeyRoll::Swap).await;
    let rolled = rolled.unwrap();
    assert!(rolled.primary == key(2) && rolled.secondary == key(1));
    let nothing = ServicePolicyChange {
        permissions: Some(ServicePermissions::default()),
        ..ServicePolicyChange::default()
    };
    let nothing = s.change_policy(&ctx, "back-end", nothing).await.map(drop);
    assert!(nothing.map_err(said).unwrap_err().starts_with("400004"));
    // The owner too: the administrator can always make another.
    for name in ["back-end", OWNER_POLICY] {
        s.delete_policy(&ctx, name).await.unwrap();
        let gone = s.delete_policy(&ctx, name).await.map_err(said);
        let wanted = format!("404201 the provisioning service has no policy {name}");
        assert_eq!(gone, Err(wanted));
    }
    assert!(s.policies(&ctx).unwrap().is_empty());
    for number in 0..SERVICE_POLICIES_MAX {
        let new = policy(&format!("p{number}"), &ALL);
        s.create_policy(&ctx, new).await.unwrap();
    }
    let full = s.create_policy(&ctx, policy("more", &ALL)).await.map(drop);
    assert!(full.map_err(said).unwrap_err().starts_with("403002"));
}

#[tokio::test]
async fn nobody_gets_more_rights_by_a_policy_than_he_has() {
    let world = World::with(&["a.test"]).await;
    let s = &world.service.service;
    let small = [
        ServicePermission::ServiceConfig,
        ServicePermission::EnrollmentWrite,
    ];
    let own = policy("own", &small);
    s.create_policy(&world.admin(), own).await.unwrap();
    let ctx = world.caller(Caller::Policy {
        name: "own".to_owned(),
        permissions: ServicePermissions::of(&small),
    });
    let more = ServicePolicyChange {
        permissions: Some(ServicePermissions::of(&ALL)),
        ..ServicePolicyChange::default()
    };
    let refused = [
        s.policy(&ctx, OWNER_POLICY).map(drop),
        s.create_policy(&ctx, policy("p", &ALL)).await.map(drop),
        s.change_policy(&ctx, "own", more).await.map(drop),
        s.change_policy(&ctx, OWNER_POLICY, ServicePolicyChange::default())
            .await
            .map(drop),
        s.roll_policy_keys(&ctx, OWNER_POLICY, KeyRoll::Both)
            .await
            .map(drop),
        s.delete_policy(&ctx, OWNER_POLICY).await,
    ];
    for (number, result) in refused.into_iter().enumerate() {
        let text = result.map_err(said).expect_err("it may not");
        let wanted = "403001 this needs the permission RegistrationStatusRead";
        assert_eq!(text, wanted, "{number}");
    }
    let less = policy("less", &[ServicePermission::EnrollmentRead]);
    s.create_policy(&ctx, less).await.unwrap();
    s.roll_policy_keys(&ctx, "own", KeyRoll::Primary)
        .await
        .unwrap();
    s.delete_policy(&ctx, "less").await.unwrap();
}

#[tokio::test]
async fn a_linked_hub_changes_as_a_whole_or_not_at_all() {
    let world = World::with(&["a.test"]).await;
    let (ctx, s, far) = (world.admin(), &world.service.service, host("far.test"));
    s.link_hub(&ctx, remote("far.test")).await.unwrap();
    let key_of = || match s.linked_hub(&ctx, &far).unwrap().link {
        Link::Remote { key, .. } => key,
        Link::Own => panic!("it is another installation's"),
    };
    let heavy = HubLink {
        weight: Some(1_001),
        ..HubLink::default()
    };
    let reach = Some((far.clone(), link(2)));
    let refused = s.set_link(&ctx, &far, heavy, reach.clone()).await.map(drop);
    assert!(refused.map_err(said).unwrap_err().starts_with("400004"));
    assert!(key_of() == key(1), "the new key is not in force");
    for (hub, reach) in [
        (&far, (host("other.test"), link(2))),
        (&host("a.test"), (host("a.test"), link(2))),
    ] {
        let refused = s.set_link(&ctx, hub, HubLink::default(), Some(reach)).await;
        assert!(
            refused
                .map(drop)
                .map_err(said)
                .unwrap_err()
                .starts_with("400004")
        );
    }
    s.set_link(&ctx, &far, HubLink::default(), reach)
        .await
        .unwrap();
    assert!(key_of() == key(2));
}

#[tokio::test]
async fn an_own_hub_is_set_by_any_of_its_names() {
    let world = World::with(&["a.test"]).await;
    let (ctx, s) = (world.admin(), &world.service.service);
    let weight = |weight| HubLink {
        weight: Some(weight),
        ..HubLink::default()
    };
    s.set_link(&ctx, &host("a.test"), weight(2), None)
        .await
        .unwrap();
    world.rename("b.test").await;
    let set = s.set_link(&ctx, &host("a.test"), weight(3), None).await;
    let set = set.unwrap();
    assert_eq!((set.host, set.weight), (host("b.test"), 3));
    let latency = (region("eu"), host("a.test"), Duration::from_millis(5));
    s.set_latencies(&ctx, vec![latency]).await.unwrap();
    let known = s.latencies(&ctx).unwrap();
    assert!(known.get(&region("eu"), &host("b.test")).is_some());
    s.unlink_hub(&ctx, &host("a.test")).await.unwrap();
    assert_eq!(s.linked_hub(&ctx, &host("b.test")).unwrap().weight, 1);
    assert_eq!(s.list_linked_hubs(&ctx).unwrap().len(), 1);
}

#[tokio::test]
async fn ranges_are_replaced_as_a_whole() {
    let world = World::with(&["a.test"]).await;
    let (ctx, s) = (world.admin(), &world.service.service);
    s.put_address_range(&ctx, range("::1")).await.unwrap();
    let many = (0..ADDRESS_RANGES_MAX)
        .map(|number| range(&format!("10.{}.{}.0/24", number / 256, number % 256)));
    let mut many: Vec<_> = many.collect();
    s.replace_address_ranges(&ctx, many.clone()).await.unwrap();
    assert!(s.address_ranges(&ctx).unwrap() == many);
    let one_more = s.put_address_range(&ctx, range("::1")).await;
    assert!(one_more.map_err(said).unwrap_err().starts_with("403002"));
    s.put_address_range(&ctx, range("10.0.0.9/24"))
        .await
        .unwrap();
    many.push(range("::1"));
    let too_many = s.replace_address_ranges(&ctx, many).await;
    assert!(too_many.map_err(said).unwrap_err().starts_with("403002"));
    let twice = vec![range("10.0.0.0/8"), range("::/0"), range("10.1.0.0/8")];
    let twice = s.replace_address_ranges(&ctx, twice).await.map_err(said);
    let wanted = "400004 the range 10.0.0.0/8 is named twice";
    assert_eq!(twice, Err(wanted.to_owned()));
}

#[tokio::test]
async fn latencies_are_kept_of_linked_hubs_only() {
    let world = World::with(&["a.test", "b.test"]).await;
    let (ctx, s) = (world.admin(), &world.service.service);
    let to = |from: &str, name: &str| (region(from), host(name), Duration::from_millis(7));
    s.set_latencies(&ctx, vec![to("eu", "a.test"), to("eu", "b.test")])
        .await
        .unwrap();
    s.set_latencies(&ctx, vec![to("us", "b.test")])
        .await
        .unwrap();
    assert_eq!(s.latencies(&ctx).unwrap().iter().count(), 3);
    for (wrong, wanted) in [
        (
            vec![to("eu", "a.test"), to("eu", "gone.test")],
            "no hub gone.test is linked",
        ),
        (
            vec![to("eu", "a.test"), to("EU", "a.test")],
            "the latency from eu to a.test is named twice",
        ),
    ] {
        let refused = s.replace_latencies(&ctx, wrong).await.map_err(said);
        assert_eq!(refused, Err(format!("400004 {wanted}")));
    }
    s.replace_latencies(&ctx, vec![to("asia", "a.test")])
        .await
        .unwrap();
    assert_eq!(s.latencies(&ctx).unwrap().iter().count(), 1);
}

#[tokio::test]
async fn the_service_itself_has_no_webhook() {
    let world = World::with(&["a.test"]).await;
    let (ctx, s) = (world.admin(), &world.service.service);
    let custom = s.set_allocation(&ctx, AllocationPolicy::Custom).await;
    assert!(custom.map_err(said).unwrap_err().starts_with("400004"));
    s.set_allocation(&ctx, AllocationPolicy::Static)
        .await
        .unwrap();
    assert_eq!(s.allocation(&ctx).unwrap(), AllocationPolicy::Static);
}
