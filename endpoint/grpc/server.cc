#include "endpoint/grpc/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "api/fairlead/agent/v1/agent.grpc.pb.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"

namespace fairlead::endpoint {
namespace {

namespace v1 = fairlead::agent::v1;

constexpr size_t kMaxIdentityBytes = 63;

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), std::string(base::View(status.message()))};
}

wire::Peer PeerOf(const grpc::CallbackServerContext& context, const std::string& trust_domain,
                  bool plaintext) {
  wire::Peer peer;
  peer.address = context.peer();
  const auto auth = context.auth_context();
  if (auth != nullptr) {
    for (const grpc::string_ref& uri :
         auth->FindPropertyValues(GRPC_PEER_SPIFFE_ID_PROPERTY_NAME)) {
      peer.identity = AgentIdentity({uri.data(), uri.size()}, trust_domain);
    }
    for (const grpc::string_ref& pem : auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME)) {
      peer.certificate_pem = std::string(pem.data(), pem.size());
    }
  }
  if (plaintext) {  // loopback development mode: the agent names itself
    const auto named = context.client_metadata().find("fairlead-identity");
    if (named != context.client_metadata().end() && named->second.size() <= kMaxIdentityBytes) {
      peer.identity = std::string(named->second.data(), named->second.size());
    }
  }
  return peer;
}

// One bidirectional call seen from the server. Reactions only queue and post; the handler runs on
// the loop. Keeps itself alive until OnDone.
template <typename In, typename Out>
class ServerStream : public grpc::ServerBidiReactor<In, Out>,
                     public std::enable_shared_from_this<ServerStream<In, Out>> {
 public:
  // `context` is the call's, and there until OnDone.
  ServerStream(base::Loop* loop, grpc::CallbackServerContext* context, size_t max_unsent_bytes)
      : loop_(loop), context_(context), max_unsent_bytes_(max_unsent_bytes) {}

  // Loop thread, after the service took the sender.
  void Attach(wire::StreamHandler<In>* handler) {
    handler_ = handler;
    if (handler_ == nullptr) {
      End(grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "refused"));
      return;
    }
    ReadOn();
  }
  void KeepAlive() { self_ = this->shared_from_this(); }

  // Loop thread. Ends the stream of an agent that does not read.
  void Send(Out message) {
    {
      const base::MutexLock lock(mutex_);
      if (finished_) return;
      unsent_bytes_ += CostOf(message);
      outgoing_.push_back(std::move(message));
      if (unsent_bytes_ <= max_unsent_bytes_ || outgoing_.size() == 1) return StartWriteLocked();
      finished_ = cancelling_ = true;
      final_status_ = {grpc::StatusCode::RESOURCE_EXHAUSTED, "the agent does not read"};
      outgoing_.resize(1);  // gRPC has that one
    }
    // A write that waits for the agent ends by nothing else. It may have ended meanwhile: then
    // Finish(), and with it the end of the context, is for afterwards.
    const auto keep = this->shared_from_this();
    context_->TryCancel();
    {
      const base::MutexLock lock(mutex_);
      cancelling_ = false;
      if (writing_) return;  // OnWriteDone finishes
    }
    this->Finish(final_status_);
  }

  // Loop thread: the owner let go.
  void Detach(const grpc::Status& why) {
    handler_ = nullptr;
    End(why);
  }
  [[nodiscard]] size_t unsent_bytes() const {
    const base::MutexLock lock(mutex_);
    return unsent_bytes_;
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      loop_->Post([self = this->shared_from_this()] {
        self->Closed(absl::UnavailableError("the agent's stream ended"));
      });
      End(grpc::Status::OK);
      return;
    }
    loop_->Post([self = this->shared_from_this()] {
      if (self->handler_ == nullptr) return;
      self->handler_->OnMessage(std::move(self->incoming_));
      self->incoming_ = In();
      self->ReadOn();
    });
  }
  void OnWriteDone(bool ok) override {
    const auto keep = this->shared_from_this();
    {
      const base::MutexLock lock(mutex_);
      writing_ = false;
      unsent_bytes_ -= std::min(unsent_bytes_, CostOf(outgoing_.front()));
      outgoing_.pop_front();
      if (ok) StartWriteLocked();
      if (!finished_ || cancelling_) return;
    }
    this->Finish(final_status_);
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override {
    loop_->Post([self = this->shared_from_this()] {
      self->Closed(absl::UnavailableError("the agent's connection was lost"));
    });
    self_.reset();
  }

 private:
  void Closed(const absl::Status& why) {
    if (handler_ != nullptr) std::exchange(handler_, nullptr)->OnClosed(why);
  }
  void ReadOn() {
    const base::MutexLock lock(mutex_);
    if (!finished_) this->StartRead(&incoming_);
  }
  // With what a message costs beside its bytes.
  static size_t CostOf(const Out& message) { return message.ByteSizeLong() + sizeof(Out) + 64; }
  void StartWriteLocked() {
    if (writing_ || finished_ || outgoing_.empty()) return;
    writing_ = true;
    this->StartWrite(&outgoing_.front());
  }
  void End(const grpc::Status& status) {
    const auto keep = this->shared_from_this();
    {
      const base::MutexLock lock(mutex_);
      if (std::exchange(finished_, true)) return;
      final_status_ = status;
      if (writing_) return;  // one operation at a time: OnWriteDone finishes
    }
    this->Finish(status);
  }

  base::Loop* const loop_;
  grpc::CallbackServerContext* const context_;
  const size_t max_unsent_bytes_;
  wire::StreamHandler<In>* handler_ = nullptr;  // loop thread
  In incoming_;
  std::shared_ptr<ServerStream> self_;
  mutable base::Mutex mutex_;
  std::deque<Out> outgoing_;  // the first one is being written
  size_t unsent_bytes_ = 0;
  bool writing_ = false;
  bool finished_ = false;
  bool cancelling_ = false;  // by Send()
  grpc::Status final_status_;
};

template <typename In, typename Out>
class ServerSender : public wire::StreamSender<Out> {
 public:
  explicit ServerSender(std::shared_ptr<ServerStream<In, Out>> stream)
      : stream_(std::move(stream)) {}
  ~ServerSender() override {
    stream_->Detach(grpc::Status(grpc::StatusCode::CANCELLED, "session ended"));
  }
  void Send(Out message) override { stream_->Send(std::move(message)); }
  void End(const absl::Status& why) override { stream_->Detach(ToGrpc(why)); }
  [[nodiscard]] size_t unsent_bytes() const override { return stream_->unsent_bytes(); }

 private:
  std::shared_ptr<ServerStream<In, Out>> stream_;
};

class Service : public v1::AgentService::CallbackService {
 public:
  Service(wire::AgentService* service, base::Loop* loop, const GrpcServerOptions& options)
      : service_(service),
        loop_(loop),
        trust_domain_(options.trust_domain),
        plaintext_(options.plaintext),
        max_unsent_bytes_(options.max_unsent_bytes) {}

  grpc::ServerBidiReactor<v1::ControlUp, v1::ControlDown>* Control(
      grpc::CallbackServerContext* context) override {
    return Open<v1::ControlUp, v1::ControlDown>(
        context, [this](const wire::Peer& peer, auto sender) {
          return service_->OnControl(peer, std::move(sender));
        });
  }

  grpc::ServerBidiReactor<v1::ChangesUp, v1::ChangesDown>* Changes(
      grpc::CallbackServerContext* context) override {
    return Open<v1::ChangesUp, v1::ChangesDown>(
        context, [this](const wire::Peer& peer, auto sender) {
          return service_->OnChanges(peer, std::move(sender));
        });
  }

  grpc::ServerBidiReactor<v1::ExchangeUp, v1::ExchangeDown>* Exchange(
      grpc::CallbackServerContext* context) override {
    return Open<v1::ExchangeUp, v1::ExchangeDown>(
        context, [this](const wire::Peer& peer, auto sender) {
          return service_->OnExchange(peer, std::move(sender));
        });
  }

  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context,
                                   const v1::EnrollRequest* request,
                                   v1::EnrollResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    loop_->Post([this, reactor, response, request = *request,
                 peer = PeerOf(*context, trust_domain_, plaintext_)] {
      service_->OnEnroll(peer, request,
                         [reactor, response](absl::StatusOr<v1::EnrollResponse> answer) {
                           const grpc::Status status = ToGrpc(answer.status());
                           if (answer.ok()) *response = *std::move(answer);
                           reactor->Finish(status);
                         });
    });
    return reactor;
  }

 private:
  template <typename In, typename Out, typename Accept>
  grpc::ServerBidiReactor<In, Out>* Open(grpc::CallbackServerContext* context, Accept accept) {
    auto stream = std::make_shared<ServerStream<In, Out>>(loop_, context, max_unsent_bytes_);
    stream->KeepAlive();
    const wire::Peer peer = PeerOf(*context, trust_domain_, plaintext_);
    loop_->Post([stream, peer, accept] {
      if (peer.identity.empty()) {
        stream->Attach(nullptr);
        return;
      }
      stream->Attach(accept(peer, std::make_unique<ServerSender<In, Out>>(stream)));
    });
    return stream.get();
  }

  wire::AgentService* const service_;
  base::Loop* const loop_;
  const std::string trust_domain_;
  const bool plaintext_;
  const size_t max_unsent_bytes_;
};

class RunningServer final : public GrpcServer {
 public:
  explicit RunningServer(std::unique_ptr<Service> service) : service_(std::move(service)) {}
  ~RunningServer() override { Stop(1000); }

  absl::Status Listen(const GrpcServerOptions& options) {
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    builder.AddListeningPort(options.address, Credentials(options), &port_);
    builder.SetMaxReceiveMessageSize(4 << 20);
    grpc::ResourceQuota quota("agents");
    quota.Resize(options.memory_quota_bytes);
    builder.SetResourceQuota(quota);
    // Without the probe the connection's window stays at 64 KiB, which is 1.3 MB/s at 50 ms. Agents
    // pace what they send (wire::Pacer), and for those that do not there is the quota.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 1);
    // DESIGN section 5; keepalive below the agents' 20 s, so their pings are never answered GOAWAY.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      return absl::UnavailableError(base::StrCat("cannot listen for agents on ", options.address,
                                                 ": the address is in use or not ours"));
    }
    return absl::OkStatus();
  }

  [[nodiscard]] int port() const override { return port_; }

  void Stop(int deadline_ms) override {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(deadline_ms));
    server_->Wait();
    server_.reset();
  }

 private:
  static std::shared_ptr<grpc::ServerCredentials> Credentials(const GrpcServerOptions& options) {
    if (options.plaintext) return grpc::InsecureServerCredentials();
    auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
        options.key_file, options.certificate_file, options.ca_file, options.reload_seconds);
    grpc::experimental::TlsServerCredentialsOptions tls(provider);
    tls.watch_root_certs();
    tls.watch_identity_key_cert_pairs();
    tls.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    return grpc::experimental::TlsServerCredentials(tls);
  }

  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace

std::string AgentIdentity(std::string_view uri, std::string_view trust_domain) {
  const std::string prefix = base::StrCat("spiffe://", trust_domain, "/agent/");
  if (uri.substr(0, prefix.size()) != prefix) return "";
  const std::string_view name = uri.substr(prefix.size());
  if (name.empty() || name.size() > kMaxIdentityBytes) return "";
  for (const char c : name) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
    if (!fine) return "";
  }
  return std::string(name);
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              wire::AgentService* service,
                                                              base::Loop* loop) {
  auto server = std::make_unique<RunningServer>(std::make_unique<Service>(service, loop, options));
  if (absl::Status status = server->Listen(options); !status.ok()) return status;
  return server;
}

}  // namespace fairlead::endpoint
