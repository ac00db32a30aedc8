//! Fresh certificates, keys and kubeconfig files for one control plane.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde_json::json;

/// The group that may do everything, and that priority and fairness never holds back.
const MASTERS: &str = "system:masters";

/// The group of kubelets, whose rights end at the pods of their own node.
const NODES: &str = "system:nodes";

/// Who connects to the API server with a certificate. Names of their own keep their requests apart in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Admin,
    ControllerManager,
    Scheduler,
    Kwok,
    Kubelet,
}

/// The files with which a kubelet proves who it is and checks who asks.
#[derive(Debug)]
pub(crate) struct NodeFiles {
    /// The certificate of the authority.
    pub(crate) authority: PathBuf,
    /// The certificate for whoever connects to the kubelet.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// Why no identity could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key or certificate could not be made.
    #[error("cannot create the certificate of {subject}")]
    Certificate {
        /// Its common name.
        subject: &'static str,
        /// Why it failed.
        #[source]
        source: rcgen::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// The folder with the files of a control plane's certificate authority and everything it signed.
#[derive(Debug)]
pub(super) struct Identities {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Identities {
    /// Makes the authority, the API server's certificate, and the key pair that signs ServiceAccount tokens.
    pub(super) fn create(folder: &Path) -> Result<Identities, Error> {
        fs::create_dir_all(folder).map_err(|source| Error::Write {
            path: folder.to_owned(),
            source,
        })?;
        let identities = Identities {
            folder: folder.to_owned(),
            authority: authority()?,
        };
        write_private(&identities.file("ca.crt"), &identities.authority.pem())?;
        let server = identities.sign("kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth, &SERVER_NAMES)?;
        write_pair(folder, "apiserver", &server)?;
        let client = identities.sign("kube-apiserver", Some(MASTERS), ExtendedKeyUsagePurpose::ClientAuth, &[])?;
        write_pair(folder, "kubelet-client", &client)?;
        let accounts = new_key("service accounts")?;
        write_private(&identities.file("sa.key"), &accounts.serialize_pem())?;
        write_private(&identities.file("sa.pub"), &accounts.public_key_pem())?;
        Ok(identities)
    }

    /// The path of one of the files, such as `ca.crt`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a kubeconfig that authenticates as `client` at `url`.
    pub(super) fn write_kubeconfig(&self, client: Client, url: &str, path: &Path) -> Result<(), Error> {
        let (certificate, key) = self.sign(client.name(), Some(client.group()), ExtendedKeyUsagePurpose::ClientAuth, &[])?;
        let user = json!({
            "client-certificate-data": base64(certificate.as_bytes()),
            "client-key-data": base64(key.as_bytes()),
        });
        write_kubeconfig(path, url, &self.authority.pem(), &user, "default")
    }

    /// Writes into `folder` what the kubelet of the node `name` needs: `kubeconfig`, and its certificate for those who connect.
    pub(super) fn write_node(&self, name: &str, url: &str, folder: &Path) -> Result<NodeFiles, Error> {
        self.write_kubeconfig(Client::Kubelet, url, &folder.join("kubeconfig"))?;
        let names = ["127.0.0.1", name];
        let server = self.sign(Client::Kubelet.name(), Some(NODES), ExtendedKeyUsagePurpose::ServerAuth, &names)?;
        write_pair(folder, "kubelet", &server)?;
        Ok(NodeFiles {
            authority: self.file("ca.crt"),
            certificate: folder.join("kubelet.crt"),
            key: folder.join("kubelet.key"),
        })
    }

    /// The certificate of the authority, as PEM.
    pub(super) fn authority(&self) -> String {
        self.authority.pem()
    }

    fn sign(
        &self,
        subject: &'static str,
        organization: Option<&str>,
        usage: ExtendedKeyUsagePurpose,
        names: &[&str],
    ) -> Result<(String, String), Error> {
        let failed = |source| Error::Certificate { subject, source };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).map_err(failed)?;
        parameters.distinguished_name = distinguished_name(subject, organization);
        parameters.extended_key_usages = vec![usage];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = new_key(subject)?;
        let certificate = parameters.signed_by(&key, &self.authority).map_err(failed)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

impl Client {
    /// The user name the API server sees.
    fn name(self) -> &'static str {
        match self {
            Client::Admin => "admin",
            Client::ControllerManager => "system:kube-controller-manager",
            Client::Scheduler => "system:kube-scheduler",
            Client::Kwok => "system:kwok",
            Client::Kubelet => "system:node:real-0",
        }
    }

    /// The group the API server sees.
    fn group(self) -> &'static str {
        match self {
            Client::Kubelet => NODES,
            _ => MASTERS,
        }
    }
}

const SERVER_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "kubernetes.default.svc"];

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, Error> {
    let subject = "graftling testbed";
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = distinguished_name(subject, None);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(parameters, new_key(subject)?).map_err(|source| Error::Certificate { subject, source })
}

fn new_key(subject: &'static str) -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| Error::Certificate { subject, source })
}

fn distinguished_name(subject: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, subject);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

/// Writes a kubeconfig that holds a bearer token and `namespace` as its default, for a server under `authority`.
pub(super) fn write_token_kubeconfig(token: &str, namespace: &str, url: &str, authority: &str, path: &Path) -> Result<(), Error> {
    write_kubeconfig(path, url, authority, &json!({ "token": token }), namespace)
}

/// Every YAML reader reads JSON, so no YAML writer is needed.
fn write_kubeconfig(path: &Path, url: &str, authority: &str, user: &serde_json::Value, namespace: &str) -> Result<(), Error> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "testbed", "cluster": { "server": url, "certificate-authority-data": base64(authority.as_bytes()) } }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "testbed", "context": { "cluster": "testbed", "user": "user", "namespace": namespace } }],
        "current-context": "testbed",
    });
    write_private(path, &format!("{config:#}\n"))
}

/// Writes a file that only this user may read.
pub(super) fn write_private(path: &Path, content: &str) -> Result<(), Error> {
    let mut options = fs::File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|source| Error::Write {
            path: path.to_owned(),
            source,
        })
}

/// Writes a certificate and its key, `<name>.crt` and `<name>.key`.
fn write_pair(folder: &Path, name: &str, (certificate, key): &(String, String)) -> Result<(), Error> {
    write_private(&folder.join(format!("{name}.crt")), certificate)?;
    write_private(&folder.join(format!("{name}.key")), key)
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0u32, |group, byte| group << 8 | u32::from(*byte));
        for position in 0..4 {
            let symbol = ALPHABET[(group >> (18 - 6 * position)) as usize & 63];
            text.push(if position <= chunk.len() { symbol as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
