//! Objects that no bundle may bring, each with what stands in its way.

/// One hostile object.
pub struct Hostile {
    /// Which threat it is, and what it wants.
    pub what: &'static str,
    /// The object; `NS` stands for the environment's namespace.
    pub yaml: &'static str,
    /// What the environment's status must tell.
    pub told: &'static [&'static str],
    /// What the API server answers the deployer who applies it without graftling: 200 where only graftling's policy stands in the way.
    pub answer: u16,
}

impl Hostile {
    /// The name in its metadata.
    pub fn name(&self) -> String {
        let after = self.yaml.split("metadata: {name: ").nth(1).unwrap_or_default();
        after.split([',', '}']).next().unwrap_or_default().to_owned()
    }
}

const fn hostile(what: &'static str, yaml: &'static str, told: &'static [&'static str], answer: u16) -> Hostile {
    Hostile { what, yaml, told, answer }
}

/// All of them.
pub const HOSTILE: &[Hostile] = &[
    hostile(
        "threat_t14 a binding of cluster-admin",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x, namespace: NS}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: web}]",
        &["RoleBinding x", "roleRef.kind", "ClusterRole"],
        403,
    ),
    hostile(
        "threat_t14 a binding of a group",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: other-x, namespace: NS}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}\nsubjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: \"system:authenticated\"}]",
        &["RoleBinding other-x", "subjects[0].kind"],
        403,
    ),
    hostile(
        "threat_t14 a role with everything",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: x, namespace: NS}\nrules: [{apiGroups: [\"*\"], resources: [\"*\"], verbs: [\"*\"]}]",
        &["Role x", "rules[0].verbs"],
        403,
    ),
    hostile(
        "threat_t14 a role that makes tokens",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: other-x, namespace: NS}\nrules: [{apiGroups: [\"\"], resources: [serviceaccounts/token], verbs: [create]}]",
        &["Role other-x", "rules[0].resources"],
        // The deployer makes such tokens itself, to prove them dead later; by a pod it could have any of them anyway.
        200,
    ),
    hostile(
        "threat_t14 a role that runs commands in pods",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: other-x, namespace: NS}\nrules: [{apiGroups: [\"\"], resources: [pods/exec], verbs: [create]}]",
        &["Role other-x", "rules[0].resources"],
        // The deployer runs commands for stages; by a pod of its own it could run any anyway.
        200,
    ),
    hostile(
        "threat_t14 a role that escalates",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: third-x, namespace: NS}\nrules: [{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [escalate]}]",
        &["Role third-x", "rules[0].verbs"],
        403,
    ),
    hostile(
        "threat_t15 ClusterRole",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: hostile-x}\nrules: []",
        &["ClusterRole hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 ClusterRoleBinding",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: hostile-x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: web, namespace: NS}]",
        &["ClusterRoleBinding hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 Namespace",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: hostile-x}",
        &["Namespace hostile-x", "made by graftling"],
        403,
    ),
    hostile(
        "threat_t15 Node",
        "apiVersion: v1\nkind: Node\nmetadata: {name: hostile-x}",
        &["Node hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 PersistentVolume",
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: hostile-x}\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /}}",
        &["PersistentVolume hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 PriorityClass",
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: hostile-x}\nvalue: 1000",
        &["PriorityClass hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 StorageClass",
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: hostile-x}\nprovisioner: example.com/disk",
        &["StorageClass hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 IngressClass",
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: hostile-x}\nspec: {controller: example.com/ingress}",
        &["IngressClass hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 RuntimeClass",
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: hostile-x}\nhandler: runc",
        &["RuntimeClass hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 ValidatingWebhookConfiguration",
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: hostile-x}\nwebhooks: []",
        &["ValidatingWebhookConfiguration hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 MutatingWebhookConfiguration",
        "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: hostile-x}\nwebhooks: []",
        &["MutatingWebhookConfiguration hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 ValidatingAdmissionPolicy",
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: hostile-x}\nspec: {}",
        &["ValidatingAdmissionPolicy hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 CustomResourceDefinition",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x.hostile.example.com}\nspec: {}",
        &["CustomResourceDefinition x.hostile.example.com", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 APIService",
        "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.hostile.example.com}\nspec: {}",
        &["APIService v1.hostile.example.com", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 CertificateSigningRequest",
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: hostile-x}\nspec: {request: \"\", signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}",
        &["CertificateSigningRequest hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t15 FlowSchema",
        "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nmetadata: {name: hostile-x}\nspec: {priorityLevelConfiguration: {name: exempt}}",
        &["FlowSchema hostile-x", "whole cluster"],
        403,
    ),
    hostile(
        "threat_t16 an object for kube-system",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}",
        &["ConfigMap x", "metadata.namespace", "the environment's own"],
        403,
    ),
    hostile(
        "threat_t16 a pod for the default namespace",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: default}\nspec: {containers: [{name: a, image: \"registry.example/a:1\"}]}",
        &["Pod x", "metadata.namespace"],
        403,
    ),
    hostile(
        "threat_t18 another quota",
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: graftling-quota, namespace: NS}\nspec: {hard: {pods: \"5000\"}}",
        &["ResourceQuota graftling-quota", "guardrails"],
        403,
    ),
    hostile(
        "threat_t18 another range of limits",
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: graftling-limits, namespace: NS}\nspec: {limits: []}",
        &["LimitRange graftling-limits", "guardrails"],
        403,
    ),
    hostile(
        "threat_t18 another network policy",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: graftling-egress, namespace: NS}\nspec: {podSelector: {}}",
        &["NetworkPolicy graftling-egress", "guardrails"],
        403,
    ),
    hostile(
        "threat_t17 a port of the node",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: port-x, namespace: NS}\nspec: {containers: [{name: a, image: \"registry.example/a:1\", ports: [{containerPort: 80, hostPort: 80}]}]}",
        &["Pod port-x", "hostPort", "policy.claims.hostPorts"],
        403,
    ),
    hostile(
        "threat_t18 a port of every node",
        "apiVersion: v1\nkind: Service\nmetadata: {name: nodes-x, namespace: NS}\nspec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}",
        &["Service nodes-x", "spec.type", "policy.claims.nodePorts"],
        403,
    ),
    hostile(
        "threat_t18 an address of the cloud",
        "apiVersion: v1\nkind: Service\nmetadata: {name: cloud-x, namespace: NS}\nspec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}",
        &["Service cloud-x", "spec.type", "policy.claims.loadBalancers"],
        403,
    ),
    hostile(
        "threat_t18 a volume that somebody else filled",
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: volume-x, namespace: NS}\nspec: {accessModes: [ReadWriteOnce], volumeName: production, storageClassName: \"\", resources: {requests: {storage: 1Gi}}}",
        &["PersistentVolumeClaim volume-x", "spec.volumeName"],
        200,
    ),
    hostile(
        "threat_t18 a name that graftling keeps",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: graftling-x, namespace: NS}",
        &["ConfigMap graftling-x", "kept for the system"],
        200,
    ),
    hostile(
        "threat_t19 a pod as the deployer",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: other-x, namespace: NS}\nspec: {serviceAccountName: graftling-deployer, containers: [{name: a, image: \"registry.example/a:1\"}]}",
        &["Pod other-x", "serviceAccountName"],
        403,
    ),
    hostile(
        "threat_t20 the token of an account",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token-x, namespace: NS, annotations: {kubernetes.io/service-account.name: default}}\ntype: kubernetes.io/service-account-token",
        &["Secret token-x", "token of a ServiceAccount"],
        200,
    ),
    hostile(
        "threat_t20 a token that lets nodes join",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: bootstrap-token-abcdef, namespace: NS}\ntype: bootstrap.kubernetes.io/token\nstringData: {token-id: abcdef, token-secret: 0123456789abcdef}",
        &["Secret bootstrap-token-abcdef", "new nodes"],
        200,
    ),
    hostile(
        "threat_t21 a secret from the store of the company",
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: outside-x, namespace: NS}\nspec: {secretStoreRef: {kind: ClusterSecretStore, name: company}, target: {name: stolen}, data: [{secretKey: key, remoteRef: {key: production}}]}",
        &["ExternalSecret outside-x", "policy.kinds"],
        403,
    ),
    hostile(
        "threat_t21 a store of secrets",
        "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: store-x, namespace: NS}\nspec: {provider: {vault: {server: \"https://vault.example.com\"}}}",
        &["SecretStore store-x", "policy.kinds"],
        403,
    ),
    hostile(
        "threat_t21 a store of secrets for the whole cluster",
        "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: hostile-x}\nspec: {provider: {vault: {server: \"https://vault.example.com\"}}}",
        &["ClusterSecretStore hostile-x", "is not allowed"],
        403,
    ),
    hostile(
        "threat_t22 a role that adds itself to the roles of the cluster",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: aggregated-x, namespace: NS, labels: {rbac.authorization.k8s.io/aggregate-to-admin: \"true\"}}\nrules: []",
        &["Role aggregated-x", "roles of the whole cluster"],
        200,
    ),
    hostile(
        "threat_t23 the host of production",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: production-x, namespace: NS}\nspec: {rules: [{host: www.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}",
        &["Ingress production-x", "www.example.com", "not a host of this environment"],
        200,
    ),
    hostile(
        "threat_t23 every host of the domain",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: wildcard-x, namespace: NS}\nspec: {rules: [{host: \"*.preview.example.com\", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}",
        &["Ingress wildcard-x", "wildcard"],
        200,
    ),
    hostile(
        "threat_t24 a service that leads out",
        "apiVersion: v1\nkind: Service\nmetadata: {name: outward-x, namespace: NS}\nspec: {type: ExternalName, externalName: metadata.example.com}",
        &["Service outward-x", "spec.type"],
        200,
    ),
    hostile(
        "threat_t24 endpoints that lead to the metadata of the cloud",
        "apiVersion: v1\nkind: Endpoints\nmetadata: {name: x, namespace: NS}\nsubsets: [{addresses: [{ip: 169.254.169.254}], ports: [{port: 80}]}]",
        &["Endpoints x", "could lead anywhere"],
        403,
    ),
    hostile(
        "threat_t24 a slice of endpoints that leads to the metadata of the cloud",
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: x, namespace: NS}\naddressType: IPv4\nendpoints: [{addresses: [169.254.169.254]}]",
        &["EndpointSlice x", "could lead anywhere"],
        403,
    ),
    hostile(
        "threat_t25 an owner elsewhere",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned-x, namespace: NS, ownerReferences: [{apiVersion: v1, kind: Namespace, name: NS, uid: 11111111-2222-3333-4444-555555555555}]}",
        &["ConfigMap owned-x", "ownerReferences"],
        200,
    ),
    hostile(
        "threat_t25 a finalizer that nobody removes",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held-x, namespace: NS, finalizers: [example.com/never]}",
        &["ConfigMap held-x", "finalizers"],
        200,
    ),
    hostile(
        "threat_t26 the label of another environment",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: labelled-x, namespace: NS, labels: {graftling.dev/environment: another}}",
        &["ConfigMap labelled-x", "say what is whose"],
        200,
    ),
];
