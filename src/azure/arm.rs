//! Azure Resource Manager, as far as releases need it: sites, slots, plans and swaps.
//!
//! Owns the resource paths and which of the calls may be repeated. Must not decide
//! what an answer means for a release.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use super::credential::Credential;
use super::endpoints::Endpoints;
use super::error::AzureError;
use super::model::{Instance, Page, Plan, Resource, Site, SlotDifference, WebConfig, WebConfigDocument};
use crate::http::{Answer, Body, Http, Repeat, Request, SendError};
use crate::names::{ResourceGroup, SiteName, SlotName, SubscriptionId};

/// Enough for everything here (arm-app-service §1, "api-version").
pub(super) const SITES_VERSION: &str = "2024-11-01";
/// A list with more pages than this is no list of slots.
const MOST_PAGES: usize = 20;

/// A slot's place among Azure's resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePath {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The resource group.
    pub group: ResourceGroup,
    /// The app.
    pub site: SiteName,
}

impl SitePath {
    /// The path below the resource manager's base; "production" is never a segment,
    /// as in every client (arm-app-service §1).
    pub fn of(&self, slot: &SlotName) -> String {
        let site = format!(
            "subscriptions/{}/resourceGroups/{}/providers/Microsoft.Web/sites/{}",
            self.subscription, self.group, self.site
        );
        if slot.is_production() { site } else { format!("{site}/slots/{slot}") }
    }
}

/// The resource manager of one cloud, called as one identity.
#[derive(Debug, Clone)]
pub struct ResourceManager {
    http: Http,
    endpoints: Endpoints,
    credential: Arc<Credential>,
}

impl ResourceManager {
    /// Nothing is sent yet.
    pub fn new(http: Http, endpoints: Endpoints, credential: Arc<Credential>) -> Self {
        Self { http, endpoints, credential }
    }

    /// The identity that calls are made with.
    pub fn credential(&self) -> &Arc<Credential> {
        &self.credential
    }

    /// The same for reads that are of no use after this moment ([`Http::until`]).
    #[must_use]
    pub fn until(&self, moment: tokio::time::Instant) -> Self {
        Self { http: self.http.until(moment), ..self.clone() }
    }

    /// The HTTP client that calls are made with.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// `GET {site}` or `GET {site}/slots/{slot}`.
    ///
    /// # Errors
    ///
    /// [`AzureError`], with status 404 when it is not there.
    pub async fn site(&self, path: &SitePath, slot: &SlotName) -> Result<Site, AzureError> {
        self.read(&path.of(slot), SITES_VERSION, &format!("read {}", spoken(path, slot))).await
    }

    /// As [`ResourceManager::site`], without repeats and with a short limit: for
    /// watching a swap, where the next look follows anyway.
    ///
    /// # Errors
    ///
    /// [`AzureError`] for anything but the site.
    pub async fn glance(&self, path: &SitePath, slot: &SlotName) -> Result<Site, AzureError> {
        let doing = format!("read {}", spoken(path, slot));
        let request = Request::get(self.url(&path.of(slot), SITES_VERSION)?)
            .within(Duration::from_secs(10), Duration::from_millis(1));
        parse(&self.send(request, &doing).await?, &doing)
    }

    /// `GET {site}/slots`: names as `app/slot`, production not among them.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn slots(&self, path: &SitePath) -> Result<Vec<Site>, AzureError> {
        let place = format!("{}/slots", path.of(&SlotName::production()));
        self.list(&place, SITES_VERSION, &format!("list the slots of {}", path.site)).await
    }

    /// `GET {plan}`.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn plan(&self, server_farm_id: &str) -> Result<Plan, AzureError> {
        self.read(server_farm_id.trim_start_matches('/'), SITES_VERSION, "read the App Service plan").await
    }

    /// `GET …/config/web`.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn web_config(&self, path: &SitePath, slot: &SlotName) -> Result<WebConfig, AzureError> {
        let place = format!("{}/config/web", path.of(slot));
        let doing = format!("read the configuration of {}", spoken(path, slot));
        let document: WebConfigDocument = self.read(&place, SITES_VERSION, &doing).await?;
        Ok(document.properties)
    }

    /// `PATCH …/config/web` with a few properties; all others stay as they are. A change of
    /// the image or the start command restarts the slot (arm-app-service §11, kudu-deploy §12;
    /// Azure/webapps-deploy's ContainerDeploymentUtility and az send the same). Writing the
    /// same values again changes nothing more, so it may be repeated.
    ///
    /// # Errors
    ///
    /// [`AzureError`]; what the slot has then is for the caller to read.
    pub async fn patch_web_config(
        &self,
        path: &SitePath,
        slot: &SlotName,
        properties: &serde_json::Value,
    ) -> Result<(), AzureError> {
        let doing = format!("change the configuration of {}", spoken(path, slot));
        let url = self.url(&format!("{}/config/web", path.of(slot)), SITES_VERSION)?;
        let body = Body::Json(serde_json::json!({ "properties": properties }).to_string());
        let request = Request::new(Method::PATCH, url, body, Repeat::Safe)
            .within(Duration::from_secs(90), Duration::from_secs(180));
        self.send(request, &doing).await.map(|_| ())
    }

    /// `POST …/restart`, which pulls the image anew (Azure/webapps-deploy restarts after
    /// every change of an image). A second restart is no harm, so it may be repeated.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn restart(&self, path: &SitePath, slot: &SlotName) -> Result<(), AzureError> {
        let doing = format!("restart {}", spoken(path, slot));
        let url = self.url(&format!("{}/restart", path.of(slot)), SITES_VERSION)?;
        let request = Request::new(Method::POST, url, Body::Empty, Repeat::Safe);
        self.send(request, &doing).await.map(|_| ())
    }

    /// `GET …/instances`: the ids of the workers, sorted.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn instances(&self, path: &SitePath, slot: &SlotName) -> Result<Vec<String>, AzureError> {
        let place = format!("{}/instances", path.of(slot));
        let doing = format!("list the instances of {}", spoken(path, slot));
        let found: Vec<Instance> = self.list(&place, SITES_VERSION, &doing).await?;
        let mut names: Vec<String> = found.into_iter().map(|instance| instance.name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// `POST …/slotsdiffs`: a read in the shape of a POST.
    ///
    /// # Errors
    ///
    /// [`AzureError`].
    pub async fn slot_differences(
        &self,
        path: &SitePath,
        source: &SlotName,
        target: &SlotName,
    ) -> Result<Vec<SlotDifference>, AzureError> {
        let doing = "compare the slots";
        let url = self.url(&format!("{}/slotsdiffs", path.of(source)), SITES_VERSION)?;
        let request = Request::new(Method::POST, url, Body::Json(pair(target)), Repeat::Safe);
        let page: Page<SlotDifference> = parse(&self.send(request, doing).await?, doing)?;
        Ok(page.value)
    }

    /// Finds the app's resource group by its name in the subscription.
    ///
    /// # Errors
    ///
    /// [`AzureError`]; finding none or several is for the caller to judge.
    pub async fn groups_with_site(
        &self,
        subscription: &SubscriptionId,
        site: &SiteName,
    ) -> Result<Vec<ResourceGroup>, AzureError> {
        let doing = format!("look for the app {site} in the subscription");
        // azure-pipelines-tasks-azure-arm-rest azure-arm-resource.js.
        let mut url = self.url(&format!("subscriptions/{subscription}/resources"), "2016-07-01")?;
        let filter = format!("resourceType EQ 'Microsoft.Web/Sites' AND name EQ '{site}'");
        url.query_pairs_mut().append_pair("$filter", &filter);
        let page: Page<Resource> = parse(&self.send(Request::get(url), &doing).await?, &doing)?;
        Ok(page.value.iter().filter_map(|resource| group_in(&resource.id)).collect())
    }

    /// `POST …/slots/{source}/slotsswap`: everything is prepared on the source, and
    /// the network integration's fate is said explicitly (arm-app-service §6).
    ///
    /// Sent once. It is its own inverse, so neither a refused token nor a connection that was not
    /// made lets it go out again: by then what was looked at before may have moved.
    ///
    /// # Errors
    ///
    /// Any [`AzureError`]; only `NotSent` and `Refused` inside mean that it was not
    /// carried out.
    pub async fn swap(
        &self,
        path: &SitePath,
        source: &SlotName,
        target: &SlotName,
    ) -> Result<Answer, AzureError> {
        let doing = format!("swap {source} with {target}");
        let url = self.url(&format!("{}/slotsswap", path.of(source)), SITES_VERSION)?;
        let request = Request::new(Method::POST, url, Body::Json(pair(target)), Repeat::OnlyIfNotSent)
            .within(Duration::from_secs(120), Duration::from_millis(1));
        let request = self.authorised(request).await?;
        self.http.send_expecting_success(&request).await.map_err(|source| AzureError::call(doing, source))
    }

    /// One look at a running operation. The place must be on the resource manager
    /// itself, for the token travels with it.
    ///
    /// # Errors
    ///
    /// [`AzureError`] when no answer came, or the place is elsewhere.
    pub async fn poll(&self, location: &Url) -> Result<Answer, AzureError> {
        let doing = "ask how the operation stands";
        if location.origin() != self.endpoints.resource_manager.origin() {
            return Err(AzureError::shape(doing, "its place is not on the resource manager"));
        }
        let request =
            Request::get(location.clone()).within(Duration::from_secs(30), Duration::from_millis(1));
        let request = self.authorised(request).await?;
        let answer = self.http.send(&request).await.map_err(|source| AzureError::call(doing, source))?;
        if answer.status == 401 {
            self.credential.forget();
        }
        Ok(answer)
    }

    async fn read<T: DeserializeOwned>(
        &self,
        place: &str,
        version: &str,
        doing: &str,
    ) -> Result<T, AzureError> {
        let request = Request::get(self.url(place, version)?);
        parse(&self.send(request, doing).await?, doing)
    }

    async fn list<T: DeserializeOwned>(
        &self,
        place: &str,
        version: &str,
        doing: &str,
    ) -> Result<Vec<T>, AzureError> {
        let mut found = Vec::new();
        let mut url = self.url(place, version)?;
        for _ in 0..MOST_PAGES {
            let page: Page<T> = parse(&self.send(Request::get(url), doing).await?, doing)?;
            found.extend(page.value);
            let Some(next) = page.next_link.filter(|link| !link.is_empty()) else { return Ok(found) };
            url = Url::parse(&next).map_err(|error| AzureError::shape(doing, error))?;
            if url.origin() != self.endpoints.resource_manager.origin() {
                return Err(AzureError::shape(doing, "its next page is not on the resource manager"));
            }
        }
        Err(AzureError::shape(doing, "the list has no end"))
    }

    /// Sends a repeatable request; a token that was not accepted is asked for anew once.
    /// A 401 that speaks of a quota is not a token's fault (seen-in-recordings 19).
    pub(super) async fn send(&self, request: Request, doing: &str) -> Result<Answer, AzureError> {
        let first = self.authorised(request.clone()).await?;
        let attempt = self.http.send_expecting_success(&first).await;
        let refused_token = matches!(&attempt, Err(SendError::Refused(refusal))
            if refusal.status == 401 && refusal.extended_code.is_none());
        if !refused_token || request.repeat != Repeat::Safe {
            return attempt.map_err(|source| AzureError::call(doing, source));
        }
        self.credential.forget();
        let second = self.authorised(request).await?;
        self.http.send_expecting_success(&second).await.map_err(|source| AzureError::call(doing, source))
    }

    async fn authorised(&self, request: Request) -> Result<Request, AzureError> {
        authorise(request, &self.credential).await
    }

    pub(super) fn url(&self, place: &str, version: &str) -> Result<Url, AzureError> {
        let mut url = self
            .endpoints
            .resource_manager
            .join(&format!("/{place}"))
            .map_err(|error| AzureError::shape("make the resource's address", error))?;
        url.query_pairs_mut().append_pair("api-version", version);
        Ok(url)
    }
}

/// Adds the bearer token and an id of our own that shows up in Azure's logs.
pub(super) async fn authorise(request: Request, credential: &Credential) -> Result<Request, AzureError> {
    let token = credential.token().await?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.secret.reveal()))
        .map_err(|_| AzureError::shape("sign in", "the token is no header value"))?;
    bearer.set_sensitive(true);
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string())
        .map_err(|error| AzureError::shape("make a request id", error))?;
    Ok(request
        .with_header(AUTHORIZATION, bearer)
        .with_header(HeaderName::from_static("x-ms-client-request-id"), id))
}

pub(super) fn parse<T: DeserializeOwned>(answer: &Answer, doing: &str) -> Result<T, AzureError> {
    serde_json::from_slice(&answer.body).map_err(|error| AzureError::shape(doing, error))
}

fn pair(target: &SlotName) -> String {
    serde_json::json!({ "targetSlot": target.as_str(), "preserveVnet": true }).to_string()
}

fn spoken(path: &SitePath, slot: &SlotName) -> String {
    if slot.is_production() {
        format!("the app {}", path.site)
    } else {
        format!("the slot {slot} of {}", path.site)
    }
}

fn group_in(id: &str) -> Option<ResourceGroup> {
    let mut parts = id.split('/');
    parts.find(|part| part.eq_ignore_ascii_case("resourceGroups"))?;
    ResourceGroup::new(parts.next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_is_no_path_segment() {
        let path = SitePath {
            subscription: SubscriptionId::new("00000000-0000-0000-0000-000000000001").expect("a GUID"),
            group: ResourceGroup::new("group").expect("well formed"),
            site: SiteName::new("contoso-web").expect("well formed"),
        };
        assert!(path.of(&SlotName::production()).ends_with("/sites/contoso-web"));
        let staging = SlotName::new("staging").expect("well formed");
        assert!(path.of(&staging).ends_with("/sites/contoso-web/slots/staging"));
        assert_eq!(group_in("/subscriptions/1/RESOURCEGROUPS/g/x").expect("a group").as_str(), "g");
    }
}
