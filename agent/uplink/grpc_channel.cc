#include "agent/uplink/grpc_channel.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "api/fairlead/agent/v1/agent.grpc.pb.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"

namespace fairlead::agent {
namespace {

absl::Status ToAbsl(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// The calls of one channel that gRPC is not done with. The channel waits for them: whoever drops
// the last reference to a grpc::Channel waits for gRPC's own threads, so a reaction, which runs on
// one of those, must never be the one (gRPC 1.51 aborts then, in CallbackAlternativeCQ).
class OpenCalls {
 public:
  void Begin() {
    const base::MutexLock lock(mutex_);
    ++open_;
  }
  // The last that a call does; it holds no reference to the channel any more.
  void End() {
    const base::MutexLock lock(mutex_);
    --open_;
    ended_.notify_all();
  }
  void Wait() {
    base::MutexLock lock(mutex_);
    ended_.wait(lock, [this] { return open_ == 0; });
  }

 private:
  base::Mutex mutex_;
  base::CondVar ended_;
  int open_ = 0;
};

// One bidirectional call. gRPC's threads enter by the reactions, which only queue and post; the
// handler runs on the loop. The object keeps itself alive until OnDone.
template <typename Out, typename In>
class ClientStream : public grpc::ClientBidiReactor<Out, In>,
                     public std::enable_shared_from_this<ClientStream<Out, In>> {
 public:
  ClientStream(base::Loop* loop, std::shared_ptr<OpenCalls> calls, wire::StreamHandler<In>* handler,
               const std::string& identity)
      : loop_(loop), calls_(std::move(calls)), handler_(handler) {
    if (!identity.empty()) context_.AddMetadata("fairlead-identity", identity);
  }

  grpc::ClientContext* context() { return &context_; }

  void Start() {
    self_ = this->shared_from_this();
    calls_->Begin();
    // The hold keeps OnDone away while Send may still start writes from outside a reaction.
    this->AddHold();
    this->StartRead(&incoming_);
    this->StartCall();
  }

  // Loop thread.
  void Send(Out message) {
    const base::MutexLock lock(mutex_);
    if (closed_) return;
    outgoing_.push_back(std::move(message));
    StartWriteLocked();
  }

  // Loop thread: the owner let go.
  void Detach() {
    handler_ = nullptr;
    context_.TryCancel();
    ReleaseHold();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return ReleaseHold();
    loop_->Post([self = this->shared_from_this()] {
      if (self->handler_ == nullptr) return;
      self->handler_->OnMessage(std::move(self->incoming_));
      self->incoming_ = In();
      self->ReadOn();
    });
  }

  void OnWriteDone(bool ok) override {
    const base::MutexLock lock(mutex_);
    writing_ = false;
    if (!outgoing_.empty()) outgoing_.pop_front();
    if (ok) StartWriteLocked();
  }

  void OnDone(const grpc::Status& status) override {
    loop_->Post([self = this->shared_from_this(), status] {
      if (self->handler_ != nullptr)
        std::exchange(self->handler_, nullptr)->OnClosed(ToAbsl(status));
    });
    const auto calls = calls_;
    self_.reset();
    calls->End();
  }

 private:
  void ReadOn() {
    const base::MutexLock lock(mutex_);
    if (!closed_) this->StartRead(&incoming_);
  }

  void StartWriteLocked() {
    if (writing_ || closed_ || outgoing_.empty()) return;
    writing_ = true;
    this->StartWrite(&outgoing_.front());
  }

  // OnDone, and with it the end of self_, may come while this still runs: hence `keep`.
  void ReleaseHold() {
    const auto keep = this->shared_from_this();
    {
      const base::MutexLock lock(mutex_);
      if (std::exchange(closed_, true)) return;
    }
    this->RemoveHold();
  }

  base::Loop* const loop_;
  const std::shared_ptr<OpenCalls> calls_;
  wire::StreamHandler<In>* handler_;  // loop thread
  grpc::ClientContext context_;
  In incoming_;
  std::shared_ptr<ClientStream> self_;
  base::Mutex mutex_;
  std::deque<Out> outgoing_;
  bool writing_ = false;
  bool closed_ = false;
};

template <typename Out, typename In>
class ClientSender : public wire::StreamSender<Out> {
 public:
  explicit ClientSender(std::shared_ptr<ClientStream<Out, In>> stream)
      : stream_(std::move(stream)) {}
  ~ClientSender() override { stream_->Detach(); }
  void Send(Out message) override { stream_->Send(std::move(message)); }

 private:
  std::shared_ptr<ClientStream<Out, In>> stream_;
};

// One Enroll. Keeps itself alive until OnDone.
class EnrollCall : public grpc::ClientUnaryReactor,
                   public std::enable_shared_from_this<EnrollCall> {
 public:
  using Done = std::function<void(absl::StatusOr<v1::EnrollResponse>)>;
  EnrollCall(base::Loop* loop, std::shared_ptr<OpenCalls> calls, v1::EnrollRequest request,
             Done done)
      : loop_(loop),
        calls_(std::move(calls)),
        request_(std::move(request)),
        done_(std::move(done)) {}

  void Start(v1::AgentService::Stub* stub, int timeout_ms) {
    self_ = shared_from_this();
    calls_->Begin();
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
    stub->async()->Enroll(&context_, &request_, &response_, this);
    StartCall();
  }

  // Loop thread: nobody waits for the answer any more.
  void Detach() {
    done_ = nullptr;
    context_.TryCancel();
  }

  void OnDone(const grpc::Status& status) override {
    loop_->Post([self = shared_from_this(), status] {
      if (self->done_ == nullptr) return;
      const Done done = std::exchange(self->done_, nullptr);
      if (status.ok()) {
        done(std::move(self->response_));
      } else {
        done(ToAbsl(status));
      }
    });
    const auto calls = calls_;
    self_.reset();
    calls->End();
  }

 private:
  base::Loop* const loop_;
  const std::shared_ptr<OpenCalls> calls_;
  grpc::ClientContext context_;
  const v1::EnrollRequest request_;
  v1::EnrollResponse response_;
  Done done_;  // loop thread
  std::shared_ptr<EnrollCall> self_;
};

class GrpcChannel : public wire::AgentChannel {
 public:
  GrpcChannel(const std::shared_ptr<grpc::Channel>& channel, base::Loop* loop,
              const ChannelOptions& options)
      : stub_(v1::AgentService::NewStub(channel)),
        loop_(loop),
        enroll_timeout_ms_(options.enroll_timeout_ms),
        identity_(options.plaintext ? options.identity : "") {}

  ~GrpcChannel() override {
    for (const auto& enrolling : enrollments_) {
      if (const auto call = enrolling.lock()) call->Detach();
    }
    calls_->Wait();
  }

  std::unique_ptr<wire::StreamSender<v1::ControlUp>> OpenControl(
      wire::StreamHandler<v1::ControlDown>* handler) override {
    auto stream = std::make_shared<ClientStream<v1::ControlUp, v1::ControlDown>>(
        loop_, calls_, handler, identity_);
    stub_->async()->Control(stream->context(), stream.get());
    stream->Start();
    return std::make_unique<ClientSender<v1::ControlUp, v1::ControlDown>>(std::move(stream));
  }

  std::unique_ptr<wire::StreamSender<v1::ChangesUp>> OpenChanges(
      wire::StreamHandler<v1::ChangesDown>* handler) override {
    auto stream = std::make_shared<ClientStream<v1::ChangesUp, v1::ChangesDown>>(
        loop_, calls_, handler, identity_);
    stub_->async()->Changes(stream->context(), stream.get());
    stream->Start();
    return std::make_unique<ClientSender<v1::ChangesUp, v1::ChangesDown>>(std::move(stream));
  }

  std::unique_ptr<wire::StreamSender<v1::ExchangeUp>> OpenExchange(
      wire::StreamHandler<v1::ExchangeDown>* handler) override {
    auto stream = std::make_shared<ClientStream<v1::ExchangeUp, v1::ExchangeDown>>(
        loop_, calls_, handler, identity_);
    stub_->async()->Exchange(stream->context(), stream.get());
    stream->Start();
    return std::make_unique<ClientSender<v1::ExchangeUp, v1::ExchangeDown>>(std::move(stream));
  }

  void Enroll(const v1::EnrollRequest& request,
              std::function<void(absl::StatusOr<v1::EnrollResponse>)> done) override {
    const auto call = std::make_shared<EnrollCall>(loop_, calls_, request, std::move(done));
    enrollments_.push_back(call);
    call->Start(stub_.get(), enroll_timeout_ms_);
  }

 private:
  std::unique_ptr<v1::AgentService::Stub> stub_;
  base::Loop* const loop_;
  const std::shared_ptr<OpenCalls> calls_ = std::make_shared<OpenCalls>();
  const int enroll_timeout_ms_;
  const std::string identity_;
  std::vector<std::weak_ptr<EnrollCall>> enrollments_;
};

}  // namespace

std::unique_ptr<wire::AgentChannel> MakeGrpcChannel(const ChannelOptions& options,
                                                    base::Loop* loop) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(4 << 20);
  arguments.SetMaxSendMessageSize(4 << 20);
  // DESIGN section 5: no BDP probe (it would let a stalled stream buffer megabytes); keepalive
  // matched with the endpoint's minimum.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Despite its name this is the time that connecting and shaking hands may take. A channel makes
  // one attempt: after it the uplink backs off and makes another channel.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20000);
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (options.plaintext) {
    credentials = grpc::InsecureChannelCredentials();
  } else {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = options.trust_bundle;
    tls.pem_cert_chain = options.certificate;
    tls.pem_private_key = options.key;
    credentials = grpc::SslCredentials(tls);
    if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  }
  auto channel = grpc::CreateCustomChannel(options.target, credentials, arguments);
  return std::make_unique<GrpcChannel>(channel, loop, options);
}

}  // namespace fairlead::agent
