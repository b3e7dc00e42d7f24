//! When what was last changed, in the numbers of this process: how an entry of the cache knows that it is out of date.

use crate::model::change::Change;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Slots for keys; other kinds have fewer.
const KEYS: usize = 1 << 17;
const OTHERS: usize = 1 << 13;

/// The number of a change in this process, in the order in which the process learnt of them.
pub(in crate::store) type Sequence = u64;

/// For each thing that changes, the number of its last change. Things share slots by a hash of their id: one that is taken
/// for another is asked for once more than needed, and memory stays the same however many things there are.
///
/// An entry is good as long as nothing that it was made of has a later number than the one that was current *before* it was
/// read. So a change that comes while it is being read makes it out of date from the start.
#[derive(Debug)]
pub(in crate::store) struct Slots {
    hasher: RandomState,
    sequence: AtomicU64,
    cleared: AtomicU64,
    keys: Vec<AtomicU64>,
    /// Keys that were made, by workspace: what makes "there is no such key" out of date.
    new_keys: Vec<AtomicU64>,
    apis: Vec<AtomicU64>,
    identities: Vec<AtomicU64>,
    root_keys: Vec<AtomicU64>,
    workspaces: Vec<AtomicU64>,
    namespaces: Vec<AtomicU64>,
}

impl Default for Slots {
    fn default() -> Self {
        let of = |length: usize| std::iter::repeat_with(AtomicU64::default).take(length).collect::<Vec<_>>();
        Self {
            hasher: RandomState::new(),
            sequence: AtomicU64::new(1),
            cleared: AtomicU64::new(0),
            keys: of(KEYS),
            new_keys: of(OTHERS),
            apis: of(OTHERS),
            identities: of(OTHERS),
            root_keys: of(OTHERS),
            workspaces: of(OTHERS),
            namespaces: of(OTHERS),
        }
    }
}

/// What an entry was made of: slots, found once when it is made.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Made {
    /// The number that was current before the entry was read.
    pub(in crate::store) at: Sequence,
    of: [Option<Slot>; 4],
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Key(u32),
    NewKeys(u32),
    Api(u32),
    Identity(u32),
    RootKey(u32),
    Workspace(u32),
}

/// Something that an entry was made of.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Part<'a> {
    Key(&'a str),
    NewKeys(&'a str),
    Api(&'a str),
    Identity(&'a str),
    RootKey(&'a str),
    Workspace(&'a str),
}

impl Slots {
    /// The number to read an entry under: before it is read.
    pub(in crate::store) fn now(&self) -> Sequence {
        self.sequence.load(Ordering::SeqCst)
    }

    /// An entry that was read under `at`, of these parts.
    pub(in crate::store) fn made(&self, at: Sequence, parts: [Option<Part<'_>>; 4]) -> Made {
        let slot = |part: Part<'_>| match part {
            Part::Key(id) => Slot::Key(self.index(id, KEYS)),
            Part::NewKeys(id) => Slot::NewKeys(self.index(id, OTHERS)),
            Part::Api(id) => Slot::Api(self.index(id, OTHERS)),
            Part::Identity(id) => Slot::Identity(self.index(id, OTHERS)),
            Part::RootKey(id) => Slot::RootKey(self.index(id, OTHERS)),
            Part::Workspace(id) => Slot::Workspace(self.index(id, OTHERS)),
        };
        Made { at, of: parts.map(|part| part.map(slot)) }
    }

    /// Whether nothing of which the entry was made has changed since.
    pub(in crate::store) fn holds(&self, made: &Made) -> bool {
        let last = |slot: Slot| match slot {
            Slot::Key(index) => number(&self.keys, index),
            Slot::NewKeys(index) => number(&self.new_keys, index),
            Slot::Api(index) => number(&self.apis, index),
            Slot::Identity(index) => number(&self.identities, index),
            Slot::RootKey(index) => number(&self.root_keys, index),
            Slot::Workspace(index) => number(&self.workspaces, index),
        };
        self.cleared.load(Ordering::Acquire) <= made.at && made.of.iter().flatten().all(|slot| last(*slot) <= made.at)
    }

    /// Notes a change: whatever was made of this before is out of date.
    pub(in crate::store) fn changed(&self, change: &Change) {
        let (slots, id) = match change {
            Change::Key(id) => (&self.keys, id.as_str()),
            Change::NewKeys(id) => (&self.new_keys, id.as_str()),
            Change::Api(id) => (&self.apis, id.as_str()),
            Change::Identity(id) => (&self.identities, id.as_str()),
            Change::RootKey(id) => (&self.root_keys, id.as_str()),
            Change::Workspace(id) => (&self.workspaces, id.as_str()),
            Change::Namespace(id) => (&self.namespaces, id.as_str()),
        };
        let index = usize::try_from(self.index(id, slots.len())).unwrap_or(0);
        if let Some(slot) = slots.get(index) {
            slot.fetch_max(self.next(), Ordering::Release);
        }
    }

    /// Whatever was made before is out of date.
    pub(in crate::store) fn clear(&self) {
        self.cleared.fetch_max(self.next(), Ordering::Release);
    }

    fn next(&self) -> Sequence {
        self.sequence.fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }

    fn index(&self, id: &str, length: usize) -> u32 {
        let length = u64::try_from(length).unwrap_or(1).max(1);
        u32::try_from(self.hasher.hash_one(id) % length).unwrap_or(0)
    }
}

/// A slot that does not exist has just changed: that never happens, and would only cost time.
fn number(slots: &[AtomicU64], index: u32) -> Sequence {
    let slot = usize::try_from(index).ok().and_then(|index| slots.get(index));
    slot.map_or(Sequence::MAX, |slot| slot.load(Ordering::Acquire))
}

#[cfg(test)]
mod tests {
    use super::Made;
    use super::Part;
    use super::Slots;
    use crate::model::change::Change;
    use crate::model::id::ApiId;
    use crate::model::id::IdentityId;
    use crate::model::id::KeyId;
    use crate::model::id::RootKeyId;
    use crate::model::id::WorkspaceId;

    fn of_key(slots: &Slots, at: u64) -> Made {
        let parts = [Part::Key("key_1"), Part::Api("api_1"), Part::Identity("id_1"), Part::Workspace("ws_1")];
        slots.made(at, parts.map(Some))
    }

    #[test]
    fn an_entry_is_out_of_date_when_any_part_of_it_changes_and_good_again_when_it_is_read_anew() {
        let slots = Slots::default();
        for change in [
            Change::Key(KeyId::from_text("key_1")),
            Change::Api(ApiId::from_text("api_1")),
            Change::Identity(IdentityId::from_text("id_1")),
            Change::Workspace(WorkspaceId::from_text("ws_1")),
        ] {
            let entry = of_key(&slots, slots.now());
            assert!(slots.holds(&entry));
            slots.changed(&change);
            assert!(!slots.holds(&entry), "{change:?}");
            assert!(slots.holds(&of_key(&slots, slots.now())));
        }
        let entry = of_key(&slots, slots.now());
        slots.changed(&Change::RootKey(RootKeyId::from_text("key_1")));
        slots.changed(&Change::NewKeys(WorkspaceId::from_text("ws_1")));
        assert!(slots.holds(&entry), "what it was not made of does not matter");
        slots.clear();
        assert!(!slots.holds(&entry));
        assert!(slots.holds(&of_key(&slots, slots.now())));
    }

    #[test]
    fn what_changed_while_an_entry_was_being_read_is_not_in_it() {
        let slots = Slots::default();
        let before = slots.now();
        slots.changed(&Change::Key(KeyId::from_text("key_1")));
        assert!(!slots.holds(&of_key(&slots, before)));
        let before = slots.now();
        slots.clear();
        assert!(!slots.holds(&of_key(&slots, before)));
    }
}
