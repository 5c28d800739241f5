#include <algorithm>
#include <utility>

#include "endpoint/session/hub.h"
#include "endpoint/session/hub_parts.h"
#include "lib/base/strings.h"

// The part of the Hub that carries API requests to agents, each on a stream of its own.
namespace fairlead::endpoint {

namespace {

// Streams of one identity: those that wait, of each session, and those that carry calls.
constexpr size_t kIdle = 4;
constexpr size_t kMostCalls = 1000;
constexpr size_t kPiece = size_t{64} << 10;  // of a request's body
constexpr size_t kMostWaiting = 1000;        // calls that wait for a stream of one session
constexpr base::Duration kForAStream = base::seconds(10);

}  // namespace

wire::StreamHandler<v1::ExchangeUp>* Hub::OnExchange(
    const wire::Peer& peer, std::unique_ptr<wire::StreamSender<v1::ExchangeDown>> sender) {
  size_t& others = exchanges_of_[peer.identity];
  if (others >= kMostCalls + kIdle * options_.sessions_per_identity) {
    sender->End(absl::ResourceExhaustedError("too many Exchange streams"));
    return nullptr;
  }
  ++others;
  auto exchange = std::make_unique<Exchange>();
  exchange->hub = this;
  exchange->opened = now();
  exchange->peer = peer;
  exchange->sender = std::move(sender);
  Exchange* handler = exchange.get();
  exchanges_[handler] = std::move(exchange);
  return handler;
}

// The stream that ended may be the one whose callback we are in: it goes later.
void Hub::CloseExchange(Exchange* exchange, const absl::Status& why) {
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end()) return;
  const std::shared_ptr<Exchange> gone = std::move(found->second);
  exchanges_.erase(found);
  const auto others = exchanges_of_.find(gone->peer.identity);
  if (--others->second == 0) exchanges_of_.erase(others);
  if (gone->session != nullptr) {
    gone->session->exchanges.erase(exchange);
    std::erase(gone->session->idle, exchange);
  }
  gone->sender->End(why);
  gone->sender.reset();
  if (gone->call != 0) {
    EndCall(gone->call, absl::UnavailableError(
                            base::StrCat("the agent's stream ended: ", base::View(why.message()))));
  }
  loop_->Post([gone] {});
}

void Hub::CloseExchanges(Session* session, const absl::Status& why) {
  while (!session->exchanges.empty()) CloseExchange(*session->exchanges.begin(), why);
  for (const uint64_t call : std::exchange(session->waiting, {})) {
    EndCall(call, absl::UnavailableError("the agent's session ended"));
  }
}

void Hub::OnExchangeMessage(Exchange* exchange, v1::ExchangeUp message) {
  if (exchange->session == nullptr) {
    Session* session = message.has_open() ? SessionOf(message.open(), exchange->peer) : nullptr;
    if (session == nullptr) return CloseExchange(exchange, absl::AbortedError("of no session"));
    exchange->session = session;
    session->exchanges.insert(exchange);
    session->idle.push_back(exchange);
    return SendCalls(session);
  }
  leases_.Heard(exchange->session->id, now());
  const auto call = calls_.find(exchange->call);
  if (call == calls_.end()) {
    return CloseExchange(exchange, absl::AbortedError("there is no such call any more"));
  }
  const std::shared_ptr<ApiListener> listener = call->second->listener;
  switch (message.message_case()) {
    case v1::ExchangeUp::kHead:
      return listener->OnHead(message.head());
    case v1::ExchangeUp::kData:
      return listener->OnData(std::move(*message.mutable_data()));
    case v1::ExchangeUp::kEnd: {
      const auto code = static_cast<absl::StatusCode>(message.end().code());
      const uint64_t number = std::exchange(exchange->call, 0);
      EndCall(number, absl::Status(code, message.end().message()));
      return CloseExchange(exchange, absl::OkStatus());
    }
    default:
      return CloseExchange(exchange, absl::InvalidArgumentError("not a message of an answer"));
  }
}

uint64_t Hub::StartCall(const base::U128& account, ApiRequest request,
                        std::shared_ptr<ApiListener> listener) {
  const uint64_t number = next_call_++;
  const auto refuse = [&](const absl::Status& why) {
    loop_->Post([listener, why] { listener->OnEnd(why); });
    return number;
  };
  const auto grant = grants_.find(account);
  const auto session =
      grant == grants_.end() ? sessions_.end() : sessions_.find(grant->second->session);
  if (session == sessions_.end()) {
    return refuse(absl::UnavailableError("no agent of the account is connected"));
  }
  const auto& features = session->second->hello.features();
  if (std::find(features.begin(), features.end(), wire::kFeatureExchange) == features.end()) {
    return refuse(absl::UnavailableError(base::StrCat("the account's agent, version ",
                                                      session->second->hello.agent_version(),
                                                      ", takes no API requests; update it")));
  }
  if (session->second->waiting.size() >= kMostWaiting) {
    return refuse(absl::ResourceExhaustedError("too many requests wait for the account's agent"));
  }
  auto call = std::make_unique<Call>();
  call->session = session->first;
  call->since = now();
  call->listener = std::move(listener);
  call->request.set_account_uid(base::ToBytes(account));
  call->request.set_term(grant->second->ledger.grant().term);
  call->request.set_method(std::move(request.method));
  call->request.set_target(std::move(request.target));
  for (auto& [name, value] : request.headers) {
    v1::Header* header = call->request.add_headers();
    header->set_name(std::move(name));
    header->set_value(std::move(value));
  }
  call->request.set_body_bytes(static_cast<uint32_t>(request.body.size()));
  call->request.set_credit(request.credit);
  call->body = std::move(request.body);
  calls_[number] = std::move(call);
  session->second->waiting.push_back(number);
  SendCalls(session->second.get());
  return number;
}

void Hub::SendCalls(Session* session) {
  while (!session->idle.empty() && !session->waiting.empty()) {
    Exchange* exchange = session->idle.front();
    session->idle.pop_front();
    exchange->call = session->waiting.front();
    session->waiting.pop_front();
    Call& call = *calls_.at(exchange->call);
    call.exchange = exchange;
    v1::ExchangeDown head;
    *head.mutable_request() = std::move(call.request);
    exchange->sender->Send(std::move(head));
    for (size_t at = 0; at < call.body.size(); at += kPiece) {
      v1::ExchangeDown piece;
      piece.set_body(call.body.substr(at, kPiece));
      exchange->sender->Send(std::move(piece));
    }
    call.body.clear();
  }
}

void Hub::CreditCall(uint64_t number, uint64_t total) {
  const auto call = calls_.find(number);
  if (call == calls_.end() || call->second->exchange == nullptr) return;
  v1::ExchangeDown message;
  message.set_credit(total);
  call->second->exchange->sender->Send(std::move(message));
}

void Hub::CancelCall(uint64_t number) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  const std::unique_ptr<Call> call = std::move(found->second);
  calls_.erase(found);
  if (call->exchange != nullptr) {
    call->exchange->call = 0;
    return CloseExchange(call->exchange, absl::CancelledError("nobody waits any more"));
  }
  const auto session = sessions_.find(call->session);
  if (session != sessions_.end()) std::erase(session->second->waiting, number);
}

void Hub::EndCall(uint64_t number, const absl::Status& status) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  const std::unique_ptr<Call> call = std::move(found->second);
  calls_.erase(found);
  call->listener->OnEnd(status);
}

// Those of one session wait in the order in which they came.
void Hub::TimeOutCalls() {
  if (calls_.empty()) return;
  for (const auto& [id, session] : sessions_) {
    while (!session->waiting.empty() &&
           now() - calls_.at(session->waiting.front())->since > kForAStream) {
      const uint64_t call = session->waiting.front();
      session->waiting.pop_front();
      EndCall(call, absl::UnavailableError("the account's agent takes no request"));
    }
  }
}

}  // namespace fairlead::endpoint
