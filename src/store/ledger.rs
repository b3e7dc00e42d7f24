//! The ledger: spends of credits, durable before they are answered.
#![deny(clippy::arithmetic_side_effects)]

use crate::model::credits::Credits;
use crate::model::credits::Due;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::schema::credits;
use crate::store::database::Db;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;

/// What became of a spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The key is unlimited.
    Unlimited,
    /// It was made; so much is left.
    Left(i64),
    /// The balance, which this is, does not suffice. Nothing was taken.
    Refused(i64),
}

/// Spends credits.
#[derive(Debug)]
pub struct Ledger {
    db: Db,
}

impl Ledger {
    /// Opens the ledger of a database.
    #[must_use]
    pub fn open(db: &Db) -> Self {
        Self { db: db.clone() }
    }

    /// Takes `cost` credits, 0 or more, from the balance of a key. Due refills come first.
    ///
    /// # Errors
    /// `service_unavailable` within the deadline: the spend may have been made.
    pub async fn spend(&self, key: &KeyId, cost: i64) -> Result<Spent> {
        let key = key.clone();
        self.db
            .write(Origin::local(Actor::System), move |tx| {
                let row: Option<Credits> = credits::table
                    .find(&key)
                    .select(Credits::as_select())
                    .for_update()
                    .first(tx.connection)
                    .optional()?;
                let Some(row) = row else { return Ok(Spent::Unlimited) };
                let settled = row.settled(tx.now());
                let _ = Due::at(tx.now());
                let left = settled.remaining.checked_sub(cost).filter(|left| *left >= 0);
                let Some(left) = left else { return Ok(Spent::Refused(settled.remaining)) };
                diesel::update(credits::table.find(&key))
                    .set((credits::remaining.eq(left), credits::refilled_at.eq(settled.refilled_at)))
                    .execute(tx.connection)?;
                Ok(Spent::Left(left))
            })
            .await
    }
}
