//! What the server says about itself is as documented: the client checks status, media type and body.

use crate::harness::Client;
use crate::harness::Server;

#[test]
fn documentation_is_served_as_documented() {
    let client = Client::new(Server::shared().url());
    for path in ["/docs", "/openapi.yaml", "/openapi.json", "/docs/api-reference/errors-v2"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    let page = "/docs/api-reference/errors-v2/unkey/authorization/insufficient_permissions";
    assert_eq!(client.get(page).status, 200);
    assert!(client.header("accept", "text/markdown").get(page).text.starts_with("# insufficient_permissions"));
}

#[test]
fn a_code_that_does_not_exist_has_a_page_that_says_so() {
    let client = Client::new(Server::shared().url());
    let page = "/docs/api-reference/errors-v2/unkey/authorization/no_such_code";
    assert_eq!(client.get(page).status, 404);
    assert!(client.header("accept", "text/markdown").get(page).text.contains("no such error code"));
}
