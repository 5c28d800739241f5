#include "unit/fakes/memory_agent_transport.h"

#include <array>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "api/fairlead/agent/v1/agent.pb.h"

namespace fairlead::fakes {

namespace v1 = fairlead::agent::v1;

using Lane = MemoryAgentNetwork::Lane;

namespace {

class CallBase {
 public:
  virtual ~CallBase() = default;
  virtual void Pump() = 0;
  virtual void Cut() = 0;
  [[nodiscard]] virtual const std::string& address() const = 0;
};

}  // namespace

struct MemoryAgentNetwork::State {
  base::Loop* loop = nullptr;
  wire::AgentService* service = nullptr;
  std::function<base::Duration(Lane)> delay;
  bool lossy = false;
  std::array<bool, 6> stalled{};
  std::function<void(const google::protobuf::MessageLite&)> observer;  // of what agents send
  std::vector<std::weak_ptr<CallBase>> calls;

  [[nodiscard]] bool Stalled(Lane lane) const { return stalled[static_cast<size_t>(lane)]; }
};

namespace {

using State = MemoryAgentNetwork::State;

// One direction of a call: a queue that is given out when its front has arrived.
template <typename Message>
class Pipe : public std::enable_shared_from_this<Pipe<Message>> {
 public:
  Pipe(std::shared_ptr<State> state, Lane lane) : state_(std::move(state)), lane_(lane) {}

  void Attach(wire::StreamHandler<Message>* handler) {
    handler_ = handler;
    Later();
  }
  void Detach() {
    handler_ = nullptr;
    detached_ = true;
    Drop();
  }
  void Send(Message message) {
    if (closed_) return;
    const bool up = lane_ == Lane::kControlUp || lane_ == Lane::kChangesUp;
    if (up && state_->observer) state_->observer(message);
    bytes_ += message.ByteSizeLong();
    Push(std::move(message));
  }
  // The sending end is gone.
  void Close(const absl::Status& why, bool lose_what_is_under_way) {
    if (std::exchange(closed_, true)) return;
    if (lose_what_is_under_way) Drop();
    Push(why);
  }
  void Later() {
    state_->loop->Post([self = this->shared_from_this()] { self->Pump(); });
  }
  void Pump() {
    while (handler_ != nullptr && arrived_ > 0 && !state_->Stalled(lane_)) {
      --arrived_;
      std::variant<Message, absl::Status> front = std::move(queue_.front());
      queue_.pop_front();
      if (auto* why = std::get_if<absl::Status>(&front)) {
        std::exchange(handler_, nullptr)->OnClosed(*why);
        return;
      }
      bytes_ -= std::get<Message>(front).ByteSizeLong();
      handler_->OnMessage(std::get<Message>(std::move(front)));
    }
  }
  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  void Push(std::variant<Message, absl::Status> item) {
    if (detached_) return;
    queue_.push_back(std::move(item));
    const base::Duration delay = state_->delay ? state_->delay(lane_) : base::Duration::zero();
    const uint64_t flight = flight_;
    if (delay <= base::Duration::zero()) {
      state_->loop->Post([self = this->shared_from_this(), flight] { self->Arrive(flight); });
      return;
    }
    const uint64_t number = next_timer_++;
    timers_[number] = state_->loop->After(delay, [self = this->shared_from_this(), flight, number] {
      self->timers_.erase(number);
      self->Arrive(flight);
    });
  }
  // Some item has travelled; the oldest comes out, whichever it was.
  void Arrive(uint64_t flight) {
    if (flight != flight_) return;
    ++arrived_;
    Pump();
  }
  void Drop() {
    queue_.clear();
    timers_.clear();
    arrived_ = 0;
    bytes_ = 0;
    ++flight_;
  }

  std::shared_ptr<State> state_;
  Lane lane_;
  wire::StreamHandler<Message>* handler_ = nullptr;
  std::deque<std::variant<Message, absl::Status>> queue_;
  size_t arrived_ = 0;
  size_t bytes_ = 0;
  bool closed_ = false;
  bool detached_ = false;
  uint64_t flight_ = 0;  // items of an earlier one were dropped
  std::map<uint64_t, std::unique_ptr<base::Timer>> timers_;
  uint64_t next_timer_ = 0;
};

template <typename Up, typename Down>
class Call : public CallBase {
 public:
  Call(const std::shared_ptr<State>& state, Lane up, Lane down, std::string address)
      : up(std::make_shared<Pipe<Up>>(state, up)),
        down(std::make_shared<Pipe<Down>>(state, down)),
        address_(std::move(address)) {}
  void Pump() override {
    up->Later();
    down->Later();
  }
  void Cut() override {
    up->Close(absl::UnavailableError("fake: connection lost"), true);
    down->Close(absl::UnavailableError("fake: connection lost"), true);
  }
  [[nodiscard]] const std::string& address() const override { return address_; }

  const std::shared_ptr<Pipe<Up>> up;
  const std::shared_ptr<Pipe<Down>> down;

 private:
  std::string address_;
};

// Sends `out`; its end ends `in` as well.
template <typename Out, typename In>
class Sender : public wire::StreamSender<Out> {
 public:
  Sender(std::shared_ptr<State> state, std::shared_ptr<CallBase> call,
         std::shared_ptr<Pipe<Out>> out, std::shared_ptr<Pipe<In>> in)
      : state_(std::move(state)),
        call_(std::move(call)),
        out_(std::move(out)),
        in_(std::move(in)) {}
  ~Sender() override {
    in_->Detach();
    out_->Close(absl::UnavailableError("fake: the other end closed"), state_->lossy);
  }
  void Send(Out message) override { out_->Send(std::move(message)); }
  void End(const absl::Status& why) override {
    in_->Detach();
    out_->Close(why, state_->lossy);
  }
  [[nodiscard]] size_t unsent_bytes() const override { return out_->bytes(); }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<CallBase> call_;  // lives while either end does
  std::shared_ptr<Pipe<Out>> out_;
  std::shared_ptr<Pipe<In>> in_;
};

class Channel : public wire::AgentChannel {
 public:
  Channel(std::shared_ptr<State> state, wire::Peer peer)
      : state_(std::move(state)), peer_(std::move(peer)) {}

  std::unique_ptr<wire::StreamSender<v1::ControlUp>> OpenControl(
      wire::StreamHandler<v1::ControlDown>* handler) override {
    return Open<v1::ControlUp, v1::ControlDown>(
        Lane::kControlUp, Lane::kControlDown, handler,
        [peer = peer_](wire::AgentService* service, auto sender) {
          return service->OnControl(peer, std::move(sender));
        });
  }
  std::unique_ptr<wire::StreamSender<v1::ChangesUp>> OpenChanges(
      wire::StreamHandler<v1::ChangesDown>* handler) override {
    return Open<v1::ChangesUp, v1::ChangesDown>(
        Lane::kChangesUp, Lane::kChangesDown, handler,
        [peer = peer_](wire::AgentService* service, auto sender) {
          return service->OnChanges(peer, std::move(sender));
        });
  }
  std::unique_ptr<wire::StreamSender<v1::ExchangeUp>> OpenExchange(
      wire::StreamHandler<v1::ExchangeDown>* handler) override {
    return Open<v1::ExchangeUp, v1::ExchangeDown>(
        Lane::kExchangeUp, Lane::kExchangeDown, handler,
        [peer = peer_](wire::AgentService* service, auto sender) {
          return service->OnExchange(peer, std::move(sender));
        });
  }
  void Enroll(const v1::EnrollRequest& request,
              std::function<void(absl::StatusOr<v1::EnrollResponse>)> done) override {
    state_->loop->Post([state = state_, peer = peer_, request, done = std::move(done)] {
      if (state->service == nullptr) return done(absl::UnavailableError("fake: refused"));
      state->service->OnEnroll(peer, request, done);
    });
  }

 private:
  template <typename Up, typename Down, typename Accept>
  std::unique_ptr<wire::StreamSender<Up>> Open(Lane up, Lane down,
                                               wire::StreamHandler<Down>* handler, Accept accept) {
    auto call = std::make_shared<Call<Up, Down>>(state_, up, down, peer_.address);
    call->down->Attach(handler);
    std::erase_if(state_->calls, [](const auto& one) { return one.expired(); });
    state_->calls.push_back(call);
    state_->loop->Post([state = state_, call, accept] {
      if (state->service == nullptr) {
        call->down->Close(absl::UnavailableError("fake: connection refused"), true);
        return;
      }
      call->up->Attach(accept(
          state->service, std::make_unique<Sender<Down, Up>>(state, call, call->down, call->up)));
    });
    return std::make_unique<Sender<Up, Down>>(state_, call, call->up, call->down);
  }

  std::shared_ptr<State> state_;
  wire::Peer peer_;
};

}  // namespace

MemoryAgentNetwork::MemoryAgentNetwork(base::Loop* loop) : state_(std::make_shared<State>()) {
  state_->loop = loop;
}
MemoryAgentNetwork::~MemoryAgentNetwork() = default;

void MemoryAgentNetwork::Serve(wire::AgentService* service) { state_->service = service; }

std::unique_ptr<wire::AgentChannel> MemoryAgentNetwork::Connect(const wire::Peer& peer) {
  return std::make_unique<Channel>(state_, peer);
}

void MemoryAgentNetwork::Observe(
    std::function<void(const google::protobuf::MessageLite&)> observer) {
  state_->observer = std::move(observer);
}

void MemoryAgentNetwork::set_delay(std::function<base::Duration(Lane)> delay) {
  state_->delay = std::move(delay);
}

void MemoryAgentNetwork::set_lossy(bool lossy) { state_->lossy = lossy; }

void MemoryAgentNetwork::Stall(Lane lane, bool stalled) {
  state_->stalled[static_cast<size_t>(lane)] = stalled;
  if (stalled) return;
  for (const auto& call : state_->calls) {
    if (const auto open = call.lock()) open->Pump();
  }
}

void MemoryAgentNetwork::Cut(const std::string& address) {
  const auto calls = state_->calls;
  for (const auto& call : calls) {
    const auto open = call.lock();
    if (open && (address.empty() || open->address() == address)) open->Cut();
  }
}

}  // namespace fairlead::fakes
