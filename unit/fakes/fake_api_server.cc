#include "unit/fakes/fake_api_server.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <thread>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace fairlead::fakes {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

net::CertificateSpec Spec(const std::string& name) {
  net::CertificateSpec spec;
  spec.common_name = name;
  spec.lifetime_seconds = 86400;
  return spec;
}

net::KeyAndCertificate NewCa() {
  net::CertificateSpec spec = Spec("fake-ca");
  spec.ca = true;
  return *net::SelfSigned(spec);
}

int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned offered_size, void* http2) {
  static constexpr unsigned char kBoth[] = "\x02h2\x08http/1.1";
  const unsigned skip = *static_cast<const bool*>(http2) ? 0 : 3;
  const int chosen = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kBoth + skip,
                                           sizeof kBoth - 1 - skip, offered, offered_size);
  return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

int FakeApiServerSeen::Count(std::string_view request) const {
  return static_cast<int>(std::count_if(requests.begin(), requests.end(),
                                        [&](const auto& one) { return one.second == request; }));
}

struct FakeApiServer::Impl {
  explicit Impl(const FakeApiServerOptions& options) : options(options) {}
  void Accept();
  void MakeContext(const net::KeyAndCertificate& ca);

  FakeApiServerOptions options;
  FakeApiServer* server = nullptr;
  FakeKube kube;
  FakeHandler handler;
  FakeStall stall = FakeStall::kNone;
  asio::io_context io{1};
  ssl::context context{ssl::context::tls_server};
  tcp::acceptor acceptor{io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::vector<std::shared_ptr<Connection>> connections;
  std::thread thread;
};

// One connection. Server's thread only; it lives as long as the server, open or not.
class FakeApiServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(FakeApiServer* server, tcp::socket socket, int number)
      : server_(server), tls_(std::move(socket), server->impl_->context), number_(number) {}

  void Start();
  void Hang() { hung_ = true; }
  void Close(bool reset);
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] FakeServerProtocol* protocol() { return hung_ ? nullptr : protocol_.get(); }

 private:
  void OnHandshake();
  void Read();
  void Write();
  void Wake();
  void WriteSome();
  void Handle(const net::HttpRequest& request, std::shared_ptr<FakeReply> reply);

  FakeApiServer* server_;
  ssl::stream<tcp::socket> tls_;
  int number_;
  std::unique_ptr<FakeServerProtocol> protocol_;
  char buffer_[16384] = {};
  std::string output_;
  size_t written_ = 0;
  int streams_ = 0;
  bool hung_ = false;
  bool open_ = true;
  bool writing_ = false;
  bool woken_ = false;
};

void FakeApiServer::Connection::Start() {
  error_code ignored;
  tls_.next_layer().set_option(tcp::no_delay(true), ignored);
  if (server_->impl_->stall == FakeStall::kBeforeHandshake) return Hang();
  tls_.async_handshake(ssl::stream_base::server, [self = shared_from_this()](error_code error) {
    if (!self->open_) return;
    if (!error) return self->OnHandshake();
    self->server_->signal_->Update([&] { ++self->server_->seen_.failed_handshakes; });
    self->Close(false);
  });
}

void FakeApiServer::Connection::OnHandshake() {
  if (server_->impl_->stall == FakeStall::kAfterHandshake) return Hang();
  FakeServerEvents events;
  events.handle = [this](const net::HttpRequest& request, std::shared_ptr<FakeReply> reply) {
    Handle(request, std::move(reply));
  };
  events.wake = [this] { Wake(); };
  events.streams = [this](int change) {
    streams_ += change;
    server_->signal_->Update([&] {
      FakeApiServerSeen& seen = server_->seen_;
      seen.streams += change;
      seen.most_streams = std::max(seen.most_streams, streams_);
    });
  };
  events.sent = [this](const std::string& target, size_t size) {
    server_->signal_->Update([&] { server_->seen_.sent[target] += size; });
  };
  events.pinged = [this] { server_->signal_->Update([&] { ++server_->seen_.pings; }); };
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(tls_.native_handle(), &name, &size);
  const bool http2 = std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
  protocol_ = http2 ? MakeFakeHttp2(std::move(events), server_->impl_->options.max_streams)
                    : MakeFakeHttp1(std::move(events));
  Wake();
  Read();
}

void FakeApiServer::Connection::Handle(const net::HttpRequest& request,
                                       std::shared_ptr<FakeReply> reply) {
  server_->signal_->Update([&] {
    server_->seen_.requests.emplace_back(number_,
                                         base::StrCat(request.method, " ", request.target));
  });
  Impl& impl = *server_->impl_;
  if (impl.handler) return impl.handler(request, std::move(reply));
  impl.kube.Handle(request, std::move(reply));
}

void FakeApiServer::Connection::Read() {
  tls_.async_read_some(asio::buffer(buffer_),
                       [self = shared_from_this()](error_code error, size_t size) {
                         if (!self->open_ || self->hung_) return;
                         if (error || !self->protocol_->Receive({self->buffer_, size}))
                           return self->Close(false);
                         self->Wake();
                         if (self->open_ && !self->hung_) self->Read();
                       });
}

void FakeApiServer::Connection::Wake() {
  if (std::exchange(woken_, true)) return;
  asio::post(server_->impl_->io, [self = shared_from_this()] {
    self->woken_ = false;
    self->Write();
  });
}

void FakeApiServer::Connection::Write() {
  if (writing_ || !open_ || hung_) return;
  output_.clear();
  written_ = 0;
  protocol_->TakeOutput(&output_);
  if (!output_.empty()) return WriteSome();
  if (!protocol_->Receive({})) Close(true);  // cut by a reply
}

void FakeApiServer::Connection::WriteSome() {
  const size_t slice = server_->impl_->options.slice;
  const size_t left = output_.size() - written_;
  const size_t size = slice > 0 ? std::min(slice, left) : left;
  writing_ = true;
  asio::async_write(tls_, asio::buffer(output_.data() + written_, size),
                    [self = shared_from_this()](error_code error, size_t size) {
                      self->writing_ = false;
                      if (!self->open_ || self->hung_) return;
                      if (error) return self->Close(false);
                      self->written_ += size;
                      if (self->written_ < self->output_.size()) return self->WriteSome();
                      self->Write();
                    });
}

void FakeApiServer::Connection::Close(bool reset) {
  if (!std::exchange(open_, false)) return;
  error_code ignored;
  if (reset) tls_.next_layer().set_option(asio::socket_base::linger(true, 0), ignored);
  tls_.next_layer().close(ignored);
  protocol_.reset();
  server_->signal_->Update([&] { --server_->seen_.connections; });
}

void FakeApiServer::Impl::MakeContext(const net::KeyAndCertificate& ca) {
  net::CertificateSpec spec = Spec("fake-api-server");
  spec.server = true;
  spec.ips = {"127.0.0.1"};
  const net::KeyAndCertificate pair = *net::Issue(spec, ca);
  context.use_certificate_chain(asio::buffer(pair.certificate_pem));
  context.use_private_key(asio::buffer(pair.key_pem), ssl::context::pem);
  SSL_CTX_set_alpn_select_cb(context.native_handle(), ChooseProtocol, &options.http2);
  if (!options.client_certificates) return;
  context.add_certificate_authority(asio::buffer(ca.certificate_pem));
  context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
}

void FakeApiServer::Impl::Accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (error) return;
    int number = 0;
    server->signal_->Update([&] {
      number = ++server->seen_.accepted;
      ++server->seen_.connections;
    });
    connections.push_back(std::make_shared<Connection>(server, std::move(socket), number));
    connections.back()->Start();
    Accept();
  });
}

FakeApiServer::FakeApiServer(const FakeApiServerOptions& options, Signal* signal)
    : signal_(signal), ca_(NewCa()), impl_(std::make_unique<Impl>(options)) {
  impl_->server = this;
  port_ = impl_->acceptor.local_endpoint().port();
  impl_->MakeContext(ca_);
  impl_->Accept();
  impl_->thread = std::thread([this] { impl_->io.run(); });
}

FakeApiServer::~FakeApiServer() {
  Do([this](FakeKube&) {
    error_code ignored;
    impl_->acceptor.close(ignored);
    for (const auto& connection : impl_->connections) connection->Close(false);
  });
  impl_->io.stop();
  impl_->thread.join();
}

net::KeyAndCertificate FakeApiServer::ClientCertificate() const {
  net::CertificateSpec spec = Spec("client");
  spec.client = true;
  return *net::Issue(spec, ca_);
}

void FakeApiServer::Do(const std::function<void(FakeKube&)>& task) {
  FAIRLEAD_CHECK(std::this_thread::get_id() != impl_->thread.get_id());
  std::promise<void> done;
  asio::post(impl_->io, [&] {
    task(impl_->kube);
    done.set_value();
  });
  done.get_future().wait();
}

void FakeApiServer::SetHandler(FakeHandler handler) {
  Do([&](FakeKube&) { impl_->handler = std::move(handler); });
}

void FakeApiServer::BlackHole() {
  Do([this](FakeKube&) {
    for (const auto& connection : impl_->connections) connection->Hang();
  });
}

void FakeApiServer::Kill() {
  Do([this](FakeKube&) {
    for (const auto& connection : impl_->connections) connection->Close(true);
  });
}

void FakeApiServer::Goaway() {
  Do([this](FakeKube&) {
    for (const auto& connection : impl_->connections) {
      if (connection->protocol() != nullptr) connection->protocol()->Goaway();
    }
  });
}

void FakeApiServer::SetMaxStreams(uint32_t most) {
  Do([this, most](FakeKube&) {
    impl_->options.max_streams = most;
    for (const auto& connection : impl_->connections) {
      if (connection->protocol() != nullptr) connection->protocol()->SetMaxStreams(most);
    }
  });
}

void FakeApiServer::ResetStreams(uint32_t error_code) {
  Do([this, error_code](FakeKube&) {
    for (const auto& connection : impl_->connections) {
      if (connection->protocol() != nullptr) connection->protocol()->ResetStreams(error_code);
    }
  });
}

void FakeApiServer::StallNew(FakeStall where) {
  Do([this, where](FakeKube&) { impl_->stall = where; });
}

}  // namespace fairlead::fakes
