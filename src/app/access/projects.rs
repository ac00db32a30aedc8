//! Projects, as the command line reads them, and the one thing that it writes on them.

use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use super::{Access, Error, Scope};
use crate::api::{Project, keys};

impl Access {
    /// Every Project in `scope`, sorted by namespace and name.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn projects(&self, scope: &Scope) -> Result<Vec<Project>, Error> {
        let api: Api<Project> = match scope {
            Scope::Namespace(namespace) => self.namespaced(namespace),
            Scope::AllNamespaces => Api::all(self.client.clone()),
        };
        let mut projects = self.within("list Projects", api.list(&ListParams::default())).await?.items;
        projects.sort_by_key(|project| (project.namespace(), project.name_any()));
        Ok(projects)
    }

    /// Releases what the brake of `project` holds under `digest`, if the Project is as it was read.
    ///
    /// # Errors
    /// [`Class::Conflict`](super::Class::Conflict) when it was written meanwhile; else as [`Access::environments`].
    pub async fn release_brake(&self, project: &Project, digest: &str) -> Result<(), Error> {
        let api: Api<Project> = Api::namespaced(self.client.clone(), &project.namespace().unwrap_or_default());
        let body = json!({ "metadata": {
            "uid": project.uid(),
            "resourceVersion": project.resource_version(),
            "annotations": { (keys::RELEASE_BRAKE_ANNOTATION): digest },
        }});
        let (name, params) = (project.name_any(), PatchParams::default());
        let patch = Patch::Merge(&body);
        self.within("release the brake", api.patch_metadata(&name, &params, &patch)).await?;
        Ok(())
    }
}
