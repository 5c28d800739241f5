#include "unit/fakes/memory_transport.h"

#include <deque>
#include <functional>
#include <string>
#include <utility>

namespace fairlead::fakes {
namespace {

using base::Duration;

// One exchange, shared by the client's stream and the server's reply.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(base::Loop* loop, const net::RequestOptions& options, net::ResponseHandler* handler)
      : loop_(loop), options_(options), handler_(handler) {}

  void Arm() {
    Watchdog(&first_byte_, options_.first_byte_timeout);
    Watchdog(&total_, options_.total_timeout);
  }
  void Give(std::function<void(net::ResponseHandler*)> event) {
    if (handler_ == nullptr) return;
    events_.push_back(std::move(event));
    loop_->Post([self = shared_from_this()] { self->Deliver(); });
  }
  void Headers(int status, const net::Headers& headers) {
    Give([this, status, headers](net::ResponseHandler* handler) {
      first_byte_.reset();
      Watchdog(&idle_, options_.idle_timeout);
      handler->OnHeaders(status, headers);
    });
  }
  void Data(std::string_view data) {
    Give([this, text = std::string(data)](net::ResponseHandler* handler) {
      Watchdog(&idle_, options_.idle_timeout);
      handler->OnData(text);
    });
  }
  void End(const absl::Status& status) {
    Give([this, status](net::ResponseHandler* handler) {
      Detach();
      handler->OnEnd(status);
    });
  }
  void Detach() {
    handler_ = nullptr;
    first_byte_.reset();
    total_.reset();
    idle_.reset();
  }
  void SetPaused(bool paused) {
    paused_ = paused;
    if (!paused) loop_->Post([self = shared_from_this()] { self->DeliverAll(); });
  }
  [[nodiscard]] bool gone() const { return handler_ == nullptr; }

 private:
  void Deliver() {
    if (paused_ || handler_ == nullptr || events_.empty()) return;
    const auto event = std::move(events_.front());
    events_.pop_front();
    event(handler_);
  }
  void DeliverAll() {
    while (!paused_ && handler_ != nullptr && !events_.empty()) Deliver();
  }
  void Watchdog(std::unique_ptr<base::Timer>* timer, Duration after) {
    if (after <= Duration::zero()) return;
    *timer = loop_->After(after, [this] {
      net::ResponseHandler* handler = handler_;
      if (handler == nullptr) return;
      const auto self = shared_from_this();
      loop_->Post([self, handler] {
        if (self->handler_ != handler) return;
        self->Detach();
        handler->OnEnd(absl::DeadlineExceededError("fake: no answer in time"));
      });
    });
  }

  base::Loop* loop_;
  net::RequestOptions options_;
  net::ResponseHandler* handler_;  // nullptr once ended or cancelled
  std::deque<std::function<void(net::ResponseHandler*)>> events_;
  bool paused_ = false;
  std::unique_ptr<base::Timer> first_byte_;
  std::unique_ptr<base::Timer> total_;
  std::unique_ptr<base::Timer> idle_;
};

class Reply : public FakeReply {
 public:
  explicit Reply(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  void Headers(int status, const net::Headers& headers) override {
    exchange_->Headers(status, headers);
  }
  void Data(std::string_view data) override { exchange_->Data(data); }
  void End() override { exchange_->End(absl::OkStatus()); }
  void Reset() override { exchange_->End(absl::UnavailableError("fake: connection reset")); }
  [[nodiscard]] bool gone() const override { return exchange_->gone(); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

class Stream : public net::HttpStream {
 public:
  explicit Stream(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Stream() override { exchange_->Detach(); }
  void Pause() override { exchange_->SetPaused(true); }
  void Resume() override { exchange_->SetPaused(false); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

std::unique_ptr<net::HttpStream> MemoryTransport::Start(net::HttpRequest request,
                                                        const net::RequestOptions& options,
                                                        net::ResponseHandler* handler) {
  auto exchange = std::make_shared<Exchange>(loop_, options, handler);
  exchange->Arm();
  if (unreachable_) {
    exchange->End(absl::UnavailableError("fake: connection refused"));
  } else {
    loop_->Post([server = server_, exchange, r = std::move(request)] {
      if (!exchange->gone()) server(r, std::make_shared<Reply>(exchange));
    });
  }
  return std::make_unique<Stream>(exchange);
}

}  // namespace fairlead::fakes
