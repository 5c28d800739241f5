#include "lib/net/http_client.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "lib/net/asio_loop.h"
#include "lib/net/client_connection.h"

namespace fairlead::net {
namespace {

class Client;

// Anything else could smuggle a header or a second request into HTTP/1.1.
bool IsClean(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

bool IsSendable(const HttpRequest& request) {
  return IsClean(request.method) && IsClean(request.target) &&
         std::all_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
           return IsClean(header.first) && IsClean(header.second);
         });
}

bool IsLoopback(const std::string& host) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return error ? host == "localhost" : address.is_loopback();
}

// One exchange from Start() to its end; owned by the stream the caller holds and, while it is open,
// known to the client and to a connection's protocol.
class Exchange : public ExchangeEvents, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(HttpRequest request, const RequestOptions& options, ResponseHandler* handler,
           LoopThread* loop)
      : request(std::move(request)), options(options), handler_(handler), loop_(loop) {}

  // Timers run from here on.
  void Arm();
  void OnHeaders(int status, const Headers& headers) override;
  void OnData(std::string_view data) override;
  void OnEnd(const absl::Status& status) override;
  // No more calls to the handler.
  void Cancel();
  void SetPaused(bool paused);
  [[nodiscard]] bool over() const { return handler_ == nullptr; }
  void Attach(const std::shared_ptr<ClientConnection>& connection, int64_t number) {
    connection_ = connection;
    number_ = number;
    if (paused_) SetPaused(true);
  }

  HttpRequest request;
  RequestOptions options;

 private:
  void Expire(const char* what);
  void WatchSilence(base::Duration in);
  void LetGo();

  ResponseHandler* handler_;
  LoopThread* loop_;
  std::shared_ptr<ClientConnection> connection_;
  int64_t number_ = 0;
  bool paused_ = false;
  base::Time heard_{};
  std::unique_ptr<base::Timer> first_byte_;
  std::unique_ptr<base::Timer> total_;
  std::unique_ptr<base::Timer> idle_;
};

class Stream : public HttpStream {
 public:
  explicit Stream(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Stream() override { exchange_->Cancel(); }
  void Pause() override { exchange_->SetPaused(true); }
  void Resume() override { exchange_->SetPaused(false); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

class Client : public HttpTransport, public ClientConnection::Owner {
 public:
  Client(const HttpClientOptions& options, std::shared_ptr<boost::asio::ssl::context> context,
         LoopThread* loop)
      : options_(options), context_(std::move(context)), loop_(loop) {}
  ~Client() override;

  std::unique_ptr<HttpStream> Start(HttpRequest request, const RequestOptions& options,
                                    ResponseHandler* handler) override;
  void OnConnected(ClientConnection* connection) override;
  void OnIdle(ClientConnection* connection) override;
  void OnGone(ClientConnection* connection, const absl::Status& why) override;

 private:
  using Connections = std::vector<std::shared_ptr<ClientConnection>>;
  struct Pool {
    Connections connections;  // also those that are being made
    std::deque<std::shared_ptr<Exchange>> waiting;
  };
  void Serve(Pool* pool);
  void Grow(Pool* pool);
  Pool* PoolOf(ClientConnection* connection);

  HttpClientOptions options_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  LoopThread* loop_;
  Pool pools_[2];       // by Lane
  bool http1_ = false;  // the server was seen not to offer HTTP/2
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

void Exchange::Arm() {
  if (options.first_byte_timeout > base::Duration::zero()) {
    first_byte_ = loop_->After(options.first_byte_timeout, [this] { Expire("no answer in time"); });
  }
  if (options.total_timeout > base::Duration::zero()) {
    total_ = loop_->After(options.total_timeout, [this] { Expire("not finished in time"); });
  }
}

void Exchange::Expire(const char* what) {
  const auto keep = shared_from_this();
  ResponseHandler* handler = handler_;
  Cancel();
  if (handler != nullptr) {
    handler->OnEnd(absl::DeadlineExceededError(base::StrCat(request.method, ": ", what)));
  }
}

void Exchange::WatchSilence(base::Duration in) {
  idle_ = loop_->After(in, [this] {
    const base::Time now = loop_->clock().Now();
    if (paused_) heard_ = now;  // the silence is our own doing
    const base::Duration left = heard_ + options.idle_timeout - now;
    if (left <= base::Duration::zero()) return Expire("the stream fell silent");
    const auto keep = shared_from_this();
    WatchSilence(left);
  });
}

void Exchange::OnHeaders(int status, const Headers& headers) {
  const auto keep = shared_from_this();
  first_byte_.reset();
  heard_ = loop_->clock().Now();
  if (options.idle_timeout > base::Duration::zero()) WatchSilence(options.idle_timeout);
  if (handler_ != nullptr) handler_->OnHeaders(status, headers);
}

void Exchange::OnData(std::string_view data) {
  const auto keep = shared_from_this();
  constexpr size_t kPiece = size_t{64} << 10;
  if (options.idle_timeout > base::Duration::zero()) heard_ = loop_->clock().Now();
  while (!data.empty() && handler_ != nullptr) {
    handler_->OnData(data.substr(0, kPiece));
    data.remove_prefix(std::min(kPiece, data.size()));
  }
}

void Exchange::OnEnd(const absl::Status& status) {
  const auto keep = shared_from_this();
  ResponseHandler* handler = handler_;
  LetGo();
  if (handler != nullptr) handler->OnEnd(status);
}

void Exchange::LetGo() {
  handler_ = nullptr;
  connection_.reset();
  first_byte_.reset();
  total_.reset();
  idle_.reset();
}

void Exchange::Cancel() {
  if (over()) return;
  const auto keep = shared_from_this();
  const std::shared_ptr<ClientConnection> connection = connection_;
  LetGo();
  if (!connection || connection->protocol() == nullptr) return;
  connection->protocol()->Cancel(number_);
  connection->Pump();
}

void Exchange::SetPaused(bool paused) {
  paused_ = paused;
  heard_ = loop_->clock().Now();
  if (over() || !connection_) return;
  connection_->protocol()->SetPaused(number_, paused);
  connection_->Pump();
}

Client::~Client() {
  alive_.reset();
  for (Pool& pool : pools_) {
    for (const auto& connection : pool.connections) connection->Close();
    for (const auto& exchange : pool.waiting) exchange->Cancel();
  }
}

std::unique_ptr<HttpStream> Client::Start(HttpRequest request, const RequestOptions& options,
                                          ResponseHandler* handler) {
  auto exchange = std::make_shared<Exchange>(std::move(request), options, handler, loop_);
  if (!IsSendable(exchange->request)) {
    loop_->Post([weak = std::weak_ptr(exchange)] {
      const auto refused = weak.lock();
      if (refused && !refused->over()) {
        refused->OnEnd(absl::InvalidArgumentError("the request has a line break or a NUL in it"));
      }
    });
    return std::make_unique<Stream>(std::move(exchange));
  }
  exchange->Arm();
  Pool* pool = &pools_[static_cast<int>(options.lane)];
  pool->waiting.push_back(exchange);
  loop_->Post([this, pool, alive = std::weak_ptr(alive_)] {
    if (alive.lock()) Serve(pool);
  });
  return std::make_unique<Stream>(std::move(exchange));
}

// Gives waiting exchanges to connections with room, and makes connections for the rest.
void Client::Serve(Pool* pool) {
  const Connections connections = pool->connections;
  for (const auto& connection : connections) {
    ClientProtocol* protocol = connection->protocol();
    if (protocol == nullptr) continue;
    while (!pool->waiting.empty() && protocol->HasRoom()) {
      const std::shared_ptr<Exchange> next = std::move(pool->waiting.front());
      pool->waiting.pop_front();
      if (next->over()) continue;
      const int64_t number = protocol->Begin(next->request, next.get());
      if (number == 0) {
        pool->waiting.push_front(next);  // this connection is at its end
        break;
      }
      next->Attach(connection, number);
    }
    connection->Pump();
  }
  std::erase_if(pool->waiting, [](const auto& exchange) { return exchange->over(); });
  Grow(pool);
}

void Client::Grow(Pool* pool) {
  size_t making = 0;
  for (const auto& connection : pool->connections) making += connection->protocol() == nullptr;
  const size_t each = http1_ ? 1 : options_.streams_per_connection;
  while (making * each < pool->waiting.size() &&
         pool->connections.size() < options_.max_connections) {
    auto connection =
        std::make_shared<ClientConnection>(loop_->impl().io, context_, options_, this);
    pool->connections.push_back(connection);
    connection->Connect();
    ++making;
  }
}

Client::Pool* Client::PoolOf(ClientConnection* connection) {
  for (Pool& pool : pools_) {
    for (const auto& one : pool.connections) {
      if (one.get() == connection) return &pool;
    }
  }
  return nullptr;
}

void Client::OnConnected(ClientConnection* connection) {
  http1_ = !connection->http2();
  if (Pool* pool = PoolOf(connection)) Serve(pool);
}

void Client::OnIdle(ClientConnection* connection) {
  if (Pool* pool = PoolOf(connection)) Serve(pool);
}

// A dial that failed ends what waits: dialling again at once would spin, so the callers back off.
void Client::OnGone(ClientConnection* connection, const absl::Status& why) {
  Pool* pool = PoolOf(connection);
  if (pool == nullptr) return;
  const bool never_connected = connection->protocol() == nullptr;
  std::erase_if(pool->connections, [&](const auto& one) { return one.get() == connection; });
  if (!never_connected) return Serve(pool);
  const auto waiting = std::exchange(pool->waiting, {});
  const std::weak_ptr<bool> alive = alive_;
  for (const auto& exchange : waiting) {
    if (!exchange->over()) exchange->OnEnd(why);
    if (!alive.lock()) return;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpTransport>> MakeHttpClient(const HttpClientOptions& options,
                                                              LoopThread* loop) {
  std::shared_ptr<boost::asio::ssl::context> context;
  if (options.scheme == "https") {
    auto made = MakeClientContext(options);
    if (!made.ok()) return made.status();
    context = *std::move(made);
  } else if (options.scheme != "http") {
    return absl::InvalidArgumentError(
        base::StrCat("scheme ", options.scheme, " is not http or https"));
  } else if (!IsLoopback(options.address.empty() ? options.host : options.address)) {
    return absl::InvalidArgumentError("plain http is for loopback addresses only");
  }
  return std::make_unique<Client>(options, std::move(context), loop);
}

}  // namespace fairlead::net
