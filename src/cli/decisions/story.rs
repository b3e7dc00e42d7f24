//! Decisions as people read them: the sentence first, then one line for each thing that it stands on. Pure.

use crate::model::decision::Credential;
use crate::model::decision::CredentialType;
use crate::model::decision::Decision;
use crate::model::decision::Description;
use crate::model::decision::HeldRoute;
use crate::model::decision::LooksLike;
use crate::model::decision::PastActor;
use crate::model::decision::PastChange;
use crate::model::decision::Principal;
use crate::model::decision::Remedy;
use crate::model::decision::Replayed;
use crate::model::decision::Required;
use chrono::DateTime;
use chrono::SecondsFormat;

/// Width of the names of the lines.
const NAMES: usize = 12;

/// The story of a record: what was asked and refused, on what ground, what had changed before, and what would be said today.
pub(super) fn of_record(decision: &Decision, before: &[PastChange], now: &Replayed) -> String {
    let mut story = Story::default();
    let times = match decision.count {
        1 => String::new(),
        count => format!(", {count} times until {}", moment(decision.last_time)),
    };
    story.head(&format!(
        "DENIED  {}  {}  {}{times}",
        decision.operation,
        decision.description.code,
        moment(decision.time)
    ));
    story.head(&decision.description.summary);
    story.head("");
    if let Some(caller) = &decision.caller {
        story.line("asked by", &named("root key", caller.id.as_str(), caller.name.as_deref(), caller.start.as_deref()));
    }
    story.ground(&decision.description);
    story.line("ignored", &decision.ignored.join(", "));
    story.line("before", &before.iter().map(past).collect::<Vec<_>>().join("\n"));
    let then = &decision.description;
    let is_same = (&now.code, now.step, &now.missing) == (&then.code, then.step, &then.missing);
    // What stands above is not said twice.
    story.line("now", if is_same { "The same request would be refused now, for the same reason." } else { &now.text });
    // The sentence above tells the same, but not who did it.
    story.line("", &now.because.iter().map(past).collect::<Vec<_>>().join("\n"));
    if !now.allowed {
        story.remedy(decision.description.change.as_ref());
    }
    story.text
}

/// The story of what was foretold. `supposed` are the flags that say what is otherwise, as they were given.
pub(super) fn of_simulation(operation: &str, description: &Description, supposed: &[String]) -> String {
    let mut story = Story::default();
    let verdict = if description.allowed() { "ALLOWED" } else { "DENIED" };
    story.head(&format!("{verdict}  {operation}  {}", description.code));
    story.head(&description.summary);
    story.head("");
    story.line("if", &supposed.join("\n"));
    story.ground(description);
    story.remedy(description.change.as_ref());
    story.text
}

#[derive(Default)]
struct Story {
    text: String,
}

impl Story {
    /// A line without a name.
    fn head(&mut self, text: &str) {
        self.text.push_str(&printable(text));
        self.text.push('\n');
    }

    /// Lines below each other, the first with a name; nothing if there is nothing to say.
    fn line(&mut self, name: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let name = if number == 0 { name } else { "" };
            self.text.push_str(&format!("{name:NAMES$}{}\n", printable(line)));
        }
    }

    /// What a verdict stands on.
    fn ground(&mut self, description: &Description) {
        self.line("credential", &credential(&description.credential));
        self.line("principal", &principal(&description.principal));
        self.line("required", &required(&description.required));
        let held = description.held.iter().map(|held| {
            let routes: Vec<_> = held.routes.iter().map(route).collect();
            format!("{} ({})", held.permission, routes.join(", "))
        });
        let asks = description.required.permissions.is_some() || description.required.query.is_some();
        let held: Vec<_> = held.collect();
        match (asks, held.is_empty()) {
            (true, true) => self.line("held", "nothing of it, by any route"),
            _ => self.line("held", &held.join("\n")),
        }
        self.line("missing", &description.missing.join("\n"));
        let age = match description.data.age_ms {
            0 => "read for this call".to_owned(),
            ms => format!("at most {ms} ms old"),
        };
        self.line("data", &age);
    }

    fn remedy(&mut self, change: Option<&Remedy>) {
        let Some(change) = change else { return };
        self.line("to do", &change.text);
        for way in [&change.cli, &change.curl].into_iter().flatten() {
            self.line("", way);
        }
    }
}

/// Names and ids that others chose are shown, and never obeyed by a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() }).collect()
}

fn moment(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn named(kind: &str, id: &str, name: Option<&str>, start: Option<&str>) -> String {
    let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
    let start = start.map(|start| format!(" ({start}…)")).unwrap_or_default();
    format!("{kind} {id}{name}{start}")
}

fn credential(of: &Credential) -> String {
    let kind = match of.r#type {
        CredentialType::Key => "key",
        CredentialType::RootKey => "root key",
        CredentialType::Unknown => "unknown",
    };
    let api = of.api_id.as_ref().map(|api| format!(" of the API {api}")).unwrap_or_default();
    let looks_like = of.looks_like.map(|looks_like| format!(": {}", looking(looks_like))).unwrap_or_default();
    match &of.id {
        Some(id) => {
            format!("{}{api}{looks_like}", named(kind, id, of.name.as_deref(), of.start.as_deref()))
        }
        // A key that is only supposed.
        None if of.r#type == CredentialType::Key => "any key of the owner that has nothing of its own".to_owned(),
        None => format!("{kind}{looks_like}{api}"),
    }
}

fn looking(like: LooksLike) -> &'static str {
    match like {
        LooksLike::Unknown => "nobody knows it",
        LooksLike::RootKey => "it looks like a root key",
        LooksLike::PrefixOf => "its prefix is that of the keys of",
        LooksLike::Malformed => "no key has such a text",
        LooksLike::Deleted => "it was deleted, or its API was",
        LooksLike::OtherApi => "the request asks for keys of another API",
        LooksLike::NotCovered => "the calling root key may not verify keys of its API",
        LooksLike::KeyOfApi => "it is a key of an API, which cannot call Keyward",
    }
}

fn principal(of: &Principal) -> String {
    let workspace = of.workspace_id.as_ref().map(|id| format!("the workspace {id}"));
    match (&of.owner, workspace) {
        (Some(owner), Some(workspace)) => format!("owner `{}` ({}) in {workspace}", owner.external_id, owner.id),
        (Some(owner), None) => format!("owner `{}` ({})", owner.external_id, owner.id),
        (None, Some(workspace)) => workspace,
        (None, None) => "nobody".to_owned(),
    }
}

fn route(of: &HeldRoute) -> String {
    match of {
        HeldRoute::Direct => "directly".to_owned(),
        HeldRoute::Role(name) => format!("by the role `{name}`"),
        HeldRoute::Owner => "through its owner".to_owned(),
        HeldRoute::OwnerRole(name) => format!("by the role `{name}` of its owner"),
    }
}

fn required(of: &Required) -> String {
    let mut lines = Vec::new();
    let sets = of.permissions.iter().flatten().map(|set| set.join(" and "));
    let sets: Vec<_> = sets.collect();
    if !sets.is_empty() {
        lines.push(sets.join("\nor "));
    }
    lines.extend(of.query.clone());
    lines.extend(of.expires.map(|ms| format!("before {}", moment(ms))));
    let address = of.address.map_or_else(|| "no address was sent".to_owned(), |address| format!("not {address}"));
    lines.extend(of.addresses.as_ref().map(|list| format!("an address of {}; {address}", list.join(", "))));
    for limit in of.ratelimits.iter().flatten() {
        let (cost, name, remaining, reset) = (limit.cost, &limit.name, limit.remaining, moment(limit.reset));
        let of = format!("{} per {} ms", limit.limit, limit.duration);
        lines.push(format!("{cost} of the rate limit `{name}` ({of}), which has {remaining} left until {reset}"));
    }
    lines.extend(of.credits.map(|credits| format!("{} credits of {}", credits.cost, credits.remaining)));
    lines.extend(of.requests_per_minute.map(|most| format!("at most {most} requests per minute")));
    lines.extend(of.keys_max.map(|most| format!("at most {most} keys in the workspace")));
    lines.extend(of.root_keys_max.map(|most| format!("at most {most} root keys in the workspace")));
    lines.join("\n")
}

fn past(change: &PastChange) -> String {
    let PastChange { time, text, actor, request_id, .. } = change;
    let request = if request_id.is_empty() { String::new() } else { format!(", request {request_id}") };
    format!("{}  {text}, by {}{request}", moment(*time), who(actor))
}

fn who(actor: &PastActor) -> String {
    let PastActor { r#type, id, name } = actor;
    let kind = match r#type.as_str() {
        "rootkey" => "root key",
        kind => kind,
    };
    match (id.as_str(), name.as_str()) {
        ("", name) => name.to_owned(),
        (id, name) if name.is_empty() || name == id => format!("{kind} {id}"),
        (id, name) => format!("{kind} `{name}` ({id})"),
    }
}
