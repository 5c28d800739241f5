#include "lib/net/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/base/strings.h"

namespace fairlead::net {
namespace {

// Beyond it output stays in nghttp2, which gives up on a peer that asks for answers (PING,
// SETTINGS) and does not read them.
constexpr size_t kMaxOutput = size_t{256} << 10;

struct Stream {
  ExchangeEvents* events = nullptr;  // nullptr once cancelled
  std::string body;
  size_t body_sent = 0;
  Headers headers;
  size_t header_bytes = 0;
  int status = 0;
  bool answered = false;  // OnHeaders was called
  bool ended = false;     // END_STREAM came
  bool paused = false;
  size_t withheld = 0;  // bytes of window not returned yet
};

class Http2Session : public ClientProtocol {
 public:
  explicit Http2Session(const Http2Options& options);
  ~Http2Session() override { nghttp2_session_del(session_); }

  [[nodiscard]] bool ready() const override { return settled_; }
  [[nodiscard]] bool HasRoom() const override {
    if (draining_ || streams_.size() >= options_.max_streams) return false;
    const uint32_t most =
        nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return streams_.size() < most;
  }
  [[nodiscard]] bool draining() const override { return draining_; }
  [[nodiscard]] size_t open() const override { return streams_.size(); }
  [[nodiscard]] bool WantsRead() const override { return true; }
  int64_t Begin(const HttpRequest& request, ExchangeEvents* events) override;
  void Cancel(int64_t exchange) override;
  void SetPaused(int64_t exchange, bool paused) override;
  absl::Status Receive(std::string_view bytes) override;
  void TakeOutput(std::string* out) override;
  void Ping() override { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }
  void Lost(const absl::Status& why) override;

 private:
  static Http2Session* Self(void* user) { return static_cast<Http2Session*>(user); }
  Stream* Find(int32_t id) {
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : found->second.get();
  }
  int OnHeader(int32_t id, std::string_view name, std::string_view value);
  void OnHeadersDone(int32_t id, bool end);
  void OnData(int32_t id, std::string_view data);
  void OnClosed(int32_t id, uint32_t error_code);
  void OnSettings() { settled_ = true; }
  void OnGoaway() { draining_ = true; }
  void Gather();
  void SetCallbacks(nghttp2_session_callbacks* callbacks);

  Http2Options options_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, std::unique_ptr<Stream>> streams_;
  std::string output_;
  bool settled_ = false;
  bool draining_ = false;
};

ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* buffer, size_t length, uint32_t* flags,
                 nghttp2_data_source* source, void*) {
  auto* stream = static_cast<Stream*>(source->ptr);
  const size_t size = std::min(length, stream->body.size() - stream->body_sent);
  std::memcpy(buffer, stream->body.data() + stream->body_sent, size);
  stream->body_sent += size;
  if (stream->body_sent == stream->body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(size);
}

void Http2Session::SetCallbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
         const uint8_t* value, size_t value_size, uint8_t, void* user) {
        return Self(user)->OnHeader(frame->hd.stream_id,
                                    {reinterpret_cast<const char*>(name), name_size},
                                    {reinterpret_cast<const char*>(value), value_size});
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (frame->hd.type == NGHTTP2_HEADERS) {
          Self(user)->OnHeadersDone(frame->hd.stream_id, end);
        } else if (frame->hd.type == NGHTTP2_DATA && end) {
          if (Stream* stream = Self(user)->Find(frame->hd.stream_id)) stream->ended = true;
        } else if (frame->hd.type == NGHTTP2_SETTINGS) {
          Self(user)->OnSettings();
        } else if (frame->hd.type == NGHTTP2_GOAWAY) {
          Self(user)->OnGoaway();
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks,
      [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
        Self(user)->OnData(id, {reinterpret_cast<const char*>(data), size});
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, int32_t id, uint32_t error_code, void* user) {
        Self(user)->OnClosed(id, error_code);
        return 0;
      });
}

Http2Session::Http2Session(const Http2Options& options) : options_(options) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  SetCallbacks(callbacks);
  nghttp2_option* settings = nullptr;
  nghttp2_option_new(&settings);
  nghttp2_option_set_no_auto_window_update(settings, 1);
  nghttp2_session_client_new2(&session_, callbacks, this, settings);
  nghttp2_option_del(settings);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(options_.max_header_bytes)},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, std::size(entries));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(options_.connection_window));
}

int64_t Http2Session::Begin(const HttpRequest& request, ExchangeEvents* events) {
  auto stream = std::make_unique<Stream>();
  stream->events = events;
  stream->body = request.body;
  std::vector<std::pair<std::string, std::string>> fields = {{":method", request.method},
                                                             {":scheme", options_.scheme},
                                                             {":authority", options_.authority},
                                                             {":path", request.target}};
  fields.insert(fields.end(), request.headers.begin(), request.headers.end());
  if (!request.body.empty())
    fields.emplace_back("content-length", std::to_string(request.body.size()));
  std::vector<nghttp2_nv> list;
  list.reserve(fields.size());
  for (auto& [name, value] : fields) {
    // A credential is never put into the compression table.
    const uint8_t flags = name == "authorization" ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    list.push_back({reinterpret_cast<uint8_t*>(name.data()),
                    reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(), flags});
  }
  nghttp2_data_provider body{};
  body.source.ptr = stream.get();
  body.read_callback = ReadBody;
  const int32_t id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(),
                                            stream->body.empty() ? nullptr : &body, nullptr);
  if (id < 0) {
    draining_ = true;  // stream numbers are used up, or out of memory: another connection will do
    return 0;
  }
  streams_.emplace(id, std::move(stream));
  return id;
}

void Http2Session::Cancel(int64_t exchange) {
  Stream* stream = Find(static_cast<int32_t>(exchange));
  if (stream == nullptr || stream->events == nullptr) return;
  stream->events = nullptr;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, static_cast<int32_t>(exchange),
                            NGHTTP2_CANCEL);
}

void Http2Session::SetPaused(int64_t exchange, bool paused) {
  const auto id = static_cast<int32_t>(exchange);
  Stream* stream = Find(id);
  if (stream == nullptr || std::exchange(stream->paused, paused) == paused || paused) return;
  nghttp2_session_consume_stream(session_, id, std::exchange(stream->withheld, 0));
}

int Http2Session::OnHeader(int32_t id, std::string_view name, std::string_view value) {
  Stream* stream = Find(id);
  if (stream == nullptr || stream->answered) return 0;  // trailers are not ours
  stream->header_bytes += name.size() + value.size() + 32;
  if (stream->header_bytes > options_.max_header_bytes)
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (name == ":status") {
    stream->status = std::atoi(std::string(value).c_str());
  } else {
    stream->headers.emplace_back(name, value);
  }
  return 0;
}

void Http2Session::OnHeadersDone(int32_t id, bool end) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  stream->ended = stream->ended || end;
  if (stream->answered) return;
  if (stream->status < 200) {  // informational: the real answer follows
    stream->headers.clear();
    return;
  }
  stream->answered = true;
  const Headers headers = std::exchange(stream->headers, {});
  if (stream->events != nullptr) stream->events->OnHeaders(stream->status, headers);
}

void Http2Session::OnData(int32_t id, std::string_view data) {
  nghttp2_session_consume_connection(session_, data.size());
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  if (stream->events != nullptr) stream->events->OnData(data);
  stream = Find(id);
  if (stream == nullptr) return;
  if (stream->paused) {
    stream->withheld += data.size();
  } else {
    nghttp2_session_consume_stream(session_, id, data.size());
  }
}

void Http2Session::OnClosed(int32_t id, uint32_t error_code) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const std::unique_ptr<Stream> stream = std::move(found->second);
  streams_.erase(found);
  if (stream->events == nullptr) return;
  // A server may answer early and then reset with NO_ERROR (RFC 9113 section 8.1).
  if (stream->ended && stream->answered) return stream->events->OnEnd(absl::OkStatus());
  stream->events->OnEnd(absl::UnavailableError(
      base::StrCat("the server ended the stream: ", nghttp2_http2_strerror(error_code))));
}

absl::Status Http2Session::Receive(std::string_view bytes) {
  const auto used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (used < 0) {
    return absl::UnavailableError(
        base::StrCat("HTTP/2: ", nghttp2_strerror(static_cast<int>(used))));
  }
  // A breach of the protocol shows only once our GOAWAY about it is written out.
  Gather();
  if (nghttp2_session_want_read(session_) == 0) {
    return absl::UnavailableError(
        "the HTTP/2 session is over: closed by the server, or it broke the protocol");
  }
  return absl::OkStatus();
}

void Http2Session::Gather() {
  while (output_.size() < kMaxOutput) {
    const uint8_t* data = nullptr;
    const auto size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) return;
    output_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
}

void Http2Session::TakeOutput(std::string* out) {
  Gather();
  if (out->empty()) {
    out->swap(output_);
  } else {
    out->append(output_);
  }
  output_.clear();
}

void Http2Session::Lost(const absl::Status& why) {
  draining_ = true;
  while (!streams_.empty()) {
    const std::unique_ptr<Stream> stream = std::move(streams_.begin()->second);
    streams_.erase(streams_.begin());
    if (stream->events != nullptr) stream->events->OnEnd(why);
  }
}

}  // namespace

std::unique_ptr<ClientProtocol> MakeHttp2Session(const Http2Options& options) {
  return std::make_unique<Http2Session>(options);
}

}  // namespace fairlead::net
