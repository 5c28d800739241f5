#include "agent/uplink/exchanges.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::agent {

namespace {

constexpr base::Duration kOpenAgain = base::seconds(1);  // after a stream that ended unused

}  // namespace

class Exchanges::One : public wire::StreamHandler<v1::ExchangeDown>, public ApiAnswer {
 public:
  explicit One(Exchanges* owner) : owner_(owner) {}
  bool Open() {
    sender_ = owner_->channel_->OpenExchange(this);
    if (sender_ == nullptr) return false;
    v1::ExchangeUp open;
    open.mutable_open()->set_session_id(owner_->session_id_);
    sender_->Send(std::move(open));
    return true;
  }
  void Stop() {
    call_.reset();
    sender_.reset();
  }
  [[nodiscard]] bool idle() const { return !taken_; }

  void OnMessage(v1::ExchangeDown message) override {
    switch (message.message_case()) {
      case v1::ExchangeDown::kRequest:
        if (std::exchange(taken_, true)) return OnEnd(absl::InvalidArgumentError("two requests"));
        request_ = std::move(*message.mutable_request());
        owner_->OpenIdle();
        if (request_.body_bytes() > kMaxApiBody)
          return OnEnd(absl::ResourceExhaustedError("the body of the request is too large"));
        return MayStart();
      case v1::ExchangeDown::kBody:
        if (!taken_ || call_ || message.body().size() > request_.body_bytes() - body_.size())
          return OnEnd(absl::InvalidArgumentError("a body of another size than promised"));
        body_ += message.body();
        return MayStart();
      case v1::ExchangeDown::kCredit:
        if (call_) call_->Credit(message.credit());
        return;
      case v1::ExchangeDown::MESSAGE_NOT_SET:
        return;
    }
  }
  // Also after every end: the endpoint closes.
  void OnClosed(const absl::Status&) override { owner_->Gone(this); }

  void OnHead(v1::ApiHead head) override {
    v1::ExchangeUp message;
    *message.mutable_head() = std::move(head);
    sender_->Send(std::move(message));
  }
  void OnData(std::string data) override {
    v1::ExchangeUp message;
    message.set_data(std::move(data));
    sender_->Send(std::move(message));
  }
  void OnEnd(const absl::Status& status) override {
    if (std::exchange(ended_, true)) return;
    v1::ExchangeUp message;
    message.mutable_end()->set_code(static_cast<uint32_t>(status.code()));
    message.mutable_end()->set_message(std::string(base::View(status.message())));
    sender_->Send(std::move(message));
  }

 private:
  void MayStart() {
    if (ended_ || body_.size() < request_.body_bytes()) return;
    call_ = owner_->start_(request_, std::move(body_), this);
  }

  Exchanges* owner_;
  std::unique_ptr<wire::StreamSender<v1::ExchangeUp>> sender_;
  v1::ApiRequest request_;
  std::string body_;
  std::unique_ptr<ApiCall> call_;
  bool taken_ = false;
  bool ended_ = false;
};

Exchanges::Exchanges(wire::AgentChannel* channel, std::string session_id, StartApiCall start,
                     base::Loop* loop)
    : channel_(channel), session_id_(std::move(session_id)), start_(std::move(start)), loop_(loop) {
  OpenIdle();
}

Exchanges::~Exchanges() = default;

void Exchanges::Stop() {
  later_.reset();
  for (const auto& one : all_) one->Stop();
}

void Exchanges::OpenIdle() {
  auto idle = std::count_if(all_.begin(), all_.end(), [](const auto& one) { return one->idle(); });
  for (; static_cast<size_t>(idle) < kIdle; ++idle) {
    all_.push_back(std::make_shared<One>(this));
    if (!all_.back()->Open()) return all_.pop_back();
  }
}

// Called by the one that goes.
void Exchanges::Gone(One* one) {
  const auto found =
      std::find_if(all_.begin(), all_.end(), [&](const auto& each) { return each.get() == one; });
  if (found == all_.end()) return;
  const std::shared_ptr<One> gone = std::move(*found);
  all_.erase(found);
  loop_->Post([gone] {});
  if (gone->idle() && !later_) {
    later_ = loop_->After(kOpenAgain, [this] {
      const std::unique_ptr<base::Timer> fired = std::move(later_);
      OpenIdle();
    });
  }
}

}  // namespace fairlead::agent
