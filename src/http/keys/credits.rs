//! Credits on the wire (keys.md section 4).

use crate::domain::keys::credits::CreditsChanges;
use crate::domain::keys::credits::NewCredits;
use crate::http::patch;
use crate::model::credits::Credits;
use crate::model::credits::Refill;
use crate::model::error::Error;
use crate::model::error::Result;
use serde::Deserialize;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Interval {
    Daily,
    Monthly,
}

/// Refills as requests and answers have them. The contract sees to the day of a monthly one.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefillFields {
    interval: Interval,
    amount: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refill_day: Option<i32>,
}

impl RefillFields {
    /// The schedule; the day of a daily one is dropped.
    fn schedule(self) -> Refill {
        let day = self.refill_day.filter(|_| self.interval == Interval::Monthly);
        Refill { amount: self.amount, day }
    }
}

impl From<Refill> for RefillFields {
    fn from(refill: Refill) -> Self {
        let interval = if refill.day.is_some() { Interval::Monthly } else { Interval::Daily };
        Self { interval, amount: refill.amount, refill_day: refill.day }
    }
}

/// Credits of a key that is to be made.
#[derive(Debug, Deserialize)]
pub(super) struct NewCreditsRequest {
    remaining: Option<i64>,
    refill: Option<RefillFields>,
}

impl From<NewCreditsRequest> for NewCredits {
    fn from(request: NewCreditsRequest) -> Self {
        Self { remaining: request.remaining, refill: request.refill.map(RefillFields::schedule) }
    }
}

/// Credits as `keys.updateKey` changes them.
#[derive(Debug, Deserialize)]
pub(super) struct ChangedCreditsRequest {
    #[serde(default, deserialize_with = "patch::field")]
    remaining: Option<Option<i64>>,
    #[serde(default, deserialize_with = "patch::field")]
    refill: Option<Option<RefillFields>>,
}

impl ChangedCreditsRequest {
    /// What a request with this field `credits` changes; `null` stands for an unlimited key.
    ///
    /// # Errors
    /// `invalid_input` for a day of daily refills.
    pub(super) fn changes(field: Option<Option<Self>>) -> Result<CreditsChanges> {
        let request = match field {
            None => return Ok(CreditsChanges::default()),
            Some(None) => return Ok(CreditsChanges { remaining: Some(None), refill: None }),
            Some(Some(request)) => request,
        };
        let daily = |refill: &RefillFields| refill.interval == Interval::Daily && refill.refill_day.is_some();
        if request.refill.flatten().as_ref().is_some_and(daily) {
            return Err(Error::invalid(
                "body.credits.refill.refillDay",
                "is for monthly refills, and these are daily",
                Some("Leave `refillDay` out, or send the interval `monthly`."),
            ));
        }
        let refill = request.refill.map(|refill| refill.map(RefillFields::schedule));
        Ok(CreditsChanges { remaining: request.remaining, refill })
    }
}

/// Credits as answers show them.
#[derive(Debug, Serialize)]
pub struct CreditsResponse {
    /// `null` is unlimited.
    remaining: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refill: Option<RefillFields>,
}

impl From<&Credits> for CreditsResponse {
    fn from(credits: &Credits) -> Self {
        Self { remaining: Some(credits.remaining), refill: credits.refill().map(RefillFields::from) }
    }
}

impl From<Option<Credits>> for CreditsResponse {
    fn from(credits: Option<Credits>) -> Self {
        credits.as_ref().map_or(Self { remaining: None, refill: None }, Self::from)
    }
}
