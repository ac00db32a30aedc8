//! What somebody asks for who lets an environment take over a namespace.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Namespace as ClusterNamespace;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::{Access, Error};
use crate::api::{Environment, keys};
use crate::cluster;
use crate::cluster::adoption::{MARKS, create_for_orphan};
use crate::domain::adoption::Claim;
use crate::domain::name::ProjectKey;
use crate::domain::roster::Wanted;

impl Access {
    /// What a namespace says of itself; `None` if there is none of the name.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn claim(&self, name: &str) -> Result<Option<Claim>, Error> {
        let api: Api<ClusterNamespace> = Api::all(self.client.clone());
        let read = self.within("read the namespace", api.get_metadata_opt(name)).await?;
        Ok(read.and_then(|object| Claim::read(&json!({ "metadata": object.metadata }), MARKS)))
    }

    /// Whom the cluster takes us for.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn who_am_i(&self) -> Result<Option<String>, Error> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let asked = self
            .within("ask who we are", api.create(&PostParams::default(), &SelfSubjectReview::default()))
            .await?;
        Ok(asked.status.and_then(|status| status.user_info).and_then(|user| user.username))
    }

    /// Makes an Environment anew for the namespace of a lost one, as `who` asks. Nothing is deployed until its branch is seen.
    ///
    /// # Errors
    /// [`super::Class::Conflict`] if there is an Environment of the name by now; else as [`Access::environments`].
    pub async fn make_anew(&self, project: &ProjectKey, wanted: &Wanted, claim: &Claim, who: &str) -> Result<Environment, Error> {
        const OPERATION: &str = "make the environment anew";
        let made = create_for_orphan(self.client.clone(), project, wanted, &claim.uid, Some(who));
        match tokio::time::timeout(self.request_timeout, made).await {
            Ok(Ok(environment)) => Ok(environment),
            Ok(Err(cluster::Error::Write { source, .. })) => Err(Error::from_request(OPERATION, source)),
            Ok(Err(_)) | Err(_) => Err(self.late(OPERATION)),
        }
    }

    /// Lets exactly this Environment take over exactly this namespace, as `who` asks.
    ///
    /// # Errors
    /// [`super::Class::Conflict`] when the name belongs to another object by now; else as [`Access::environments`].
    pub async fn ask_to_adopt(&self, environment: &Environment, claim: &Claim, who: Option<&str>) -> Result<(), Error> {
        let body = json!({
            "apiVersion": Environment::api_version(&()),
            "kind": Environment::kind(&()),
            "metadata": {
                "uid": environment.uid(),
                "annotations": { (keys::ADOPT_ANNOTATION): claim.uid, (keys::ADOPT_BY_ANNOTATION): who },
            },
        });
        let api = self.beside(environment);
        let params = PatchParams::default();
        let patch = Patch::Merge(&body);
        self.within("ask for the adoption", api.patch(&environment.name_any(), &params, &patch))
            .await
            .map(drop)
    }
}
