//! The verdict on a key: pure, one order of checks (keys.md section 6).

use crate::authz::expression::Expression;
use crate::model::clock::Timestamp;
use crate::model::id::ApiId;
use crate::model::verdict::Reason;
use crate::model::verdict::Verdict;
use crate::store::snapshot::Snapshot;
use std::net::IpAddr;

/// What is asked about a key.
pub struct Question<'a> {
    /// Whether the root key may verify keys of an API.
    pub covered: &'a dyn Fn(&ApiId) -> bool,
    /// The only APIs whose keys count; `None` is any.
    pub apis: Option<&'a [ApiId]>,
    /// Who presents the key.
    pub address: Option<IpAddr>,
    /// What the key must hold; `None` asks for nothing.
    pub query: Option<&'a Expression>,
    /// When.
    pub now: Timestamp,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("apis", &self.apis).field("now", &self.now).finish_non_exhaustive()
    }
}

/// Decides. The first check that fails ends it.
#[must_use]
pub fn decide(snapshot: Option<&Snapshot>, question: &Question<'_>) -> Verdict {
    Verdict::from(reason(snapshot, question))
}

fn reason(snapshot: Option<&Snapshot>, question: &Question<'_>) -> Reason {
    let Some(Snapshot { key, identity, access, ip_whitelist, .. }) = snapshot else { return Reason::NoSuchKey };
    if !(question.covered)(&key.api_id) {
        return Reason::ApiNotCovered(key.api_id.clone());
    }
    if question.apis.is_some_and(|apis| !apis.contains(&key.api_id)) {
        return Reason::OtherApi(key.api_id.clone());
    }
    if !key.enabled {
        return Reason::Disabled;
    }
    if let Some(expired) = key.expires_at.filter(|at| *at <= question.now) {
        return Reason::ExpiredAt(expired);
    }
    if let Some(owner) = identity.as_ref().filter(|owner| !owner.enabled) {
        return Reason::OwnerDisabled(owner.id.clone());
    }
    if let Some(list) = ip_whitelist
        && !question.address.is_some_and(|address| list.contains(address))
    {
        return Reason::AddressNotListed(question.address);
    }
    let held = |slug: &str| access.holds(slug);
    if let Some(query) = question.query.filter(|query| !query.holds(&held)) {
        return Reason::LacksPermissions { required: query.to_string(), missing: query.missing(&held) };
    }
    Reason::Passed
}

#[cfg(test)]
mod tests {
    use super::Question;
    use super::decide;
    use crate::authz::expression::Expression;
    use crate::model::address::AddressList;
    use crate::model::clock::Clock;
    use crate::model::clock::Timestamp;
    use crate::model::id::ApiId;
    use crate::model::id::IdentityId;
    use crate::model::id::KeyId;
    use crate::model::id::WorkspaceId;
    use crate::model::identity::Identity;
    use crate::model::key::Key;
    use crate::model::permission::Access;
    use crate::model::rate_limit::Limits;
    use crate::model::verdict::Outcome;
    use crate::model::verification::Subject;
    use crate::store::snapshot::Snapshot;
    use crate::store::tx::ReadAt;
    use chrono::Duration;
    use std::sync::Arc;
    use std::sync::OnceLock;

    fn holding(slugs: &[&str]) -> Access {
        Access { direct: slugs.iter().map(ToString::to_string).collect(), ..Access::default() }
    }

    fn disabled_owner(now: Timestamp) -> Identity {
        Identity {
            id: IdentityId::generate(),
            workspace_id: WorkspaceId::generate(),
            external_id: "owner".to_owned(),
            meta: None,
            enabled: false,
            created_at: now,
            updated_at: None,
        }
    }

    fn snapshot(now: Timestamp) -> Snapshot {
        let key = Key::bare(KeyId::generate(), WorkspaceId::generate(), ApiId::from_text("api_1"), now);
        let access = holding(&["docs.read", "docs.write"]);
        let subject = Arc::new(Subject::of(&key, None));
        Snapshot {
            subject,
            key,
            identity: None,
            slugs: access.slugs().into(),
            access: access.shared(),
            credits: None,
            limits: Limits::default(),
            planned: OnceLock::new(),
            ip_whitelist: None,
            read: ReadAt::default(),
        }
    }

    /// Everything that can be wrong with a key, in the order of the checks: each one hides all that come after it.
    #[test]
    fn the_first_failing_check_decides() {
        let now = Clock::system().now();
        type Spoil = fn(&mut Snapshot, Timestamp);
        let faults: [(Spoil, Outcome); 5] = [
            (|snapshot, _| snapshot.key.enabled = false, Outcome::Disabled),
            (|snapshot, now| snapshot.key.expires_at = Some(now), Outcome::Expired),
            (|snapshot, now| snapshot.identity = Some(Box::new(disabled_owner(now))), Outcome::Forbidden),
            (
                |snapshot, _| snapshot.ip_whitelist = Some(Box::new(AddressList::parse(&["192.0.2.1"]).unwrap())),
                Outcome::Forbidden,
            ),
            (|snapshot, _| snapshot.access = Arc::default(), Outcome::InsufficientPermissions),
        ];
        let query = Expression::parse("docs.read AND docs.write").unwrap();
        let question =
            Question { covered: &|_| true, apis: None, address: "192.0.2.2".parse().ok(), query: Some(&query), now };
        assert_eq!(decide(None, &question).outcome, Outcome::NotFound);
        assert_eq!(decide(Some(&snapshot(now)), &question).outcome, Outcome::Valid);
        for first in 0..faults.len() {
            let mut spoiled = snapshot(now);
            for (spoil, _) in &faults[first..] {
                spoil(&mut spoiled, now);
            }
            assert_eq!(decide(Some(&spoiled), &question).outcome, faults[first].1);
            let uncovered = Question { covered: &|_| false, ..question };
            assert_eq!(decide(Some(&spoiled), &uncovered).outcome, Outcome::NotFound);
            let elsewhere = Question { apis: Some(&[]), ..question };
            assert_eq!(decide(Some(&spoiled), &elsewhere).outcome, Outcome::NotFound);
        }
    }

    #[test]
    fn a_key_lives_until_the_millisecond_of_its_end() {
        let now = Clock::system().now();
        let mut lives = snapshot(now);
        lives.key.expires_at = Some(now + Duration::milliseconds(1));
        let question = Question { covered: &|_| true, apis: None, address: None, query: None, now };
        assert_eq!(decide(Some(&lives), &question).outcome, Outcome::Valid);
    }

    #[test]
    fn an_unknown_address_passes_no_allow_list() {
        let now = Clock::system().now();
        let mut listed = snapshot(now);
        listed.ip_whitelist = Some(Box::new(AddressList::parse(&["0.0.0.0/0", "::/0"]).unwrap()));
        let question = Question { covered: &|_| true, apis: None, address: None, query: None, now };
        assert_eq!(decide(Some(&listed), &question).outcome, Outcome::Forbidden);
    }
}
