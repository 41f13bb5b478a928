use std::net::IpAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Exit, log};
use crate::config::LogFormat;
use crate::gearman::server;
use crate::gearman::tls::{Acceptor, AcceptorSettings};

/// Run a Gearman server, for trials and for sites too small for gearmand.
///
/// It behaves as gearmand does and keeps its queue in memory: what waits when it ends is gone.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// The port to listen on; 0 picks a free one.
    #[arg(long, short, default_value_t = 4730)]
    port: u16,
    /// The address to listen on. The protocol knows no passwords: whoever reaches the port can submit jobs.
    #[arg(long, short, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Speak TLS, and show this certificate.
    #[arg(long, alias = "ssl-certificate", value_name = "FILE", requires = "tls_key", help_heading = "TLS")]
    tls_certificate: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, alias = "ssl-key", value_name = "FILE", requires = "tls_certificate", help_heading = "TLS")]
    tls_key: Option<PathBuf>,
    /// Refuse every peer without a certificate of the authority in this PEM file.
    #[arg(long, alias = "ssl-ca-file", value_name = "FILE", requires = "tls_certificate", help_heading = "TLS")]
    tls_client_ca: Option<PathBuf>,
    /// As gearmand has it: TLS is spoken as soon as there is a certificate.
    #[arg(long, hide = true, requires = "tls_certificate")]
    ssl: bool,
}

impl Server {
    pub(super) async fn run(&self, log: Option<&str>) -> anyhow::Result<Exit> {
        log::start(log, "info", LogFormat::Auto)?;
        let address = std::net::SocketAddr::new(self.listen, self.port);
        let config = server::Config { tls: self.tls()?, ..server::Config::default() };
        let server = server::Server::bind(&address.to_string(), config).await?;
        info!(address = %server.local_addr(), "gearman server is listening");
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.run(stop.clone()));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("gearman server is ending; what waits in its queue is gone");
        stop.cancel();
        serving.await?;
        Ok(Exit::Ok)
    }

    fn tls(&self) -> anyhow::Result<Option<Acceptor>> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let settings = AcceptorSettings {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: self.tls_client_ca.clone(),
        };
        Ok(Some(Acceptor::load(&settings)?))
    }
}
