//! Pages of a list: ordered by id, the cursor is the first row of the next page (common.md section 6).

/// Rows of a page when the request does not say.
pub const DEFAULT_LIMIT: i64 = 100;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows at most, 1 to 100.
    pub limit: i64,
    /// Id of the first row, inclusive; `None` starts at the beginning.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// A page of `limit` rows (100 if unset) from `cursor` on.
    #[must_use]
    pub fn new(limit: Option<i64>, cursor: Option<String>) -> Self {
        Self { limit: limit.unwrap_or(DEFAULT_LIMIT), cursor }
    }

    /// Rows to ask the store for: one more than the page holds tells whether another page follows.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        self.limit.saturating_add(1)
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in order.
    pub rows: Vec<T>,
    /// Id of the first row of the next page; `None` on the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts what [`PageRequest::fetch`] brought down to the page.
    #[must_use]
    pub fn cut(mut rows: Vec<T>, request: &PageRequest, id: impl Fn(&T) -> &str) -> Self {
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let next = rows.get(limit).map(|row| id(row).to_owned());
        rows.truncate(limit);
        Self { rows, next }
    }

    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(f).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::Page;
    use super::PageRequest;

    #[test]
    fn a_cursor_is_present_exactly_when_more_follows() {
        let request = PageRequest::new(Some(2), None);
        let rows = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!(Page::cut(rows(2), &request, |row: &String| row.as_str()).next, None);
        let page = Page::cut(rows(3), &request, |row: &String| row.as_str());
        assert_eq!((page.rows.len(), page.next.as_deref()), (2, Some("2")));
    }
}
