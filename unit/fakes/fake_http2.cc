#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "unit/fakes/fake_server_protocol.h"

namespace fairlead::fakes {
namespace {

class Http2Server;

struct Http2Stream {
  Http2Server* server = nullptr;  // nullptr once closed
  int32_t id = 0;
  net::HttpRequest request;
  std::string queue;  // of the answer's body
  size_t taken = 0;   // of the queue
  bool ended = false;
  bool begun = false;
};

class Http2Server : public FakeServerProtocol {
 public:
  Http2Server(FakeServerEvents events, uint32_t max_streams);
  ~Http2Server() override;

  bool Receive(std::string_view bytes) override;
  void TakeOutput(std::string* out) override;
  void Goaway() override;
  void SetMaxStreams(uint32_t most) override;
  void ResetStreams(uint32_t error_code) override;

  void Respond(Http2Stream* stream, int status, const net::Headers& headers);
  void Resume(Http2Stream* stream);
  void Reset(int32_t id, uint32_t error_code);

 private:
  static Http2Server* Self(void* user) { return static_cast<Http2Server*>(user); }
  void SetCallbacks(nghttp2_session_callbacks* callbacks);
  Http2Stream& At(int32_t id);
  void OnHeader(int32_t id, std::string name, std::string value);
  void OnFrame(const nghttp2_frame& frame);
  void OnClose(int32_t id);
  ssize_t ReadAnswer(Http2Stream* stream, uint8_t* buffer, size_t length, uint32_t* flags);

  FakeServerEvents events_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::shared_ptr<Http2Stream>> streams_;
};

class Http2Reply : public FakeReply {
 public:
  explicit Http2Reply(std::shared_ptr<Http2Stream> stream) : stream_(std::move(stream)) {}
  void Headers(int status, const net::Headers& headers) override {
    if (!gone()) stream_->server->Respond(stream_.get(), status, headers);
  }
  void Data(std::string_view data) override {
    if (gone()) return;
    stream_->queue.append(data);
    stream_->server->Resume(stream_.get());
  }
  void End() override {
    if (gone()) return;
    stream_->ended = true;
    stream_->server->Resume(stream_.get());
  }
  void Reset() override {
    if (!gone()) stream_->server->Reset(stream_->id, NGHTTP2_INTERNAL_ERROR);
  }
  [[nodiscard]] bool gone() const override { return stream_->server == nullptr; }

 private:
  std::shared_ptr<Http2Stream> stream_;
};

std::string Text(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

void Http2Server::SetCallbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
         const uint8_t* value, size_t value_size, uint8_t, void* user) {
        Self(user)->OnHeader(frame->hd.stream_id, Text(name, name_size), Text(value, value_size));
        return 0;
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks,
      [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
        Self(user)->At(id).request.body += Text(data, size);
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        Self(user)->OnFrame(*frame);
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, int32_t id, uint32_t, void* user) {
        Self(user)->OnClose(id);
        return 0;
      });
}

Http2Server::Http2Server(FakeServerEvents events, uint32_t max_streams)
    : events_(std::move(events)) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  SetCallbacks(callbacks);
  nghttp2_session_server_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  SetMaxStreams(max_streams);
}

Http2Server::~Http2Server() {
  while (!streams_.empty()) OnClose(streams_.begin()->first);
  nghttp2_session_del(session_);
}

Http2Stream& Http2Server::At(int32_t id) {
  std::shared_ptr<Http2Stream>& stream = streams_[id];
  if (!stream) {
    stream = std::make_shared<Http2Stream>();
    stream->server = this;
    stream->id = id;
    events_.streams(1);
  }
  return *stream;
}

void Http2Server::OnHeader(int32_t id, std::string name, std::string value) {
  net::HttpRequest& request = At(id).request;
  if (name == ":method") {
    request.method = std::move(value);
  } else if (name == ":path") {
    request.target = std::move(value);
  } else if (!name.starts_with(":")) {
    request.headers.emplace_back(std::move(name), std::move(value));
  }
}

void Http2Server::OnFrame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_PING && (frame.hd.flags & NGHTTP2_FLAG_ACK) == 0) events_.pinged();
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  const auto found = streams_.find(frame.hd.stream_id);
  if (found == streams_.end()) return;
  const std::shared_ptr<Http2Stream> stream = found->second;
  events_.handle(stream->request, std::make_shared<Http2Reply>(stream));
}

void Http2Server::OnClose(int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second->server = nullptr;
  streams_.erase(found);
  events_.streams(-1);
}

bool Http2Server::Receive(std::string_view bytes) {
  const auto used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());

  return used >= 0;
}

void Http2Server::TakeOutput(std::string* out) {
  constexpr size_t kSome = size_t{64} << 10;
  while (out->size() < kSome) {
    const uint8_t* data = nullptr;
    const auto size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) return;
    out->append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
}

void Http2Server::Goaway() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  events_.wake();
}

void Http2Server::SetMaxStreams(uint32_t most) {
  const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, most};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &entry, 1);
  events_.wake();
}

void Http2Server::ResetStreams(uint32_t error_code) {
  for (const auto& [id, stream] : streams_) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, error_code);
  }
  events_.wake();
}

void Http2Server::Reset(int32_t id, uint32_t error_code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, error_code);
  events_.wake();
}

void Http2Server::Respond(Http2Stream* stream, int status, const net::Headers& headers) {
  if (std::exchange(stream->begun, true)) return;
  net::Headers fields = {{":status", std::to_string(status)}};
  fields.insert(fields.end(), headers.begin(), headers.end());
  std::vector<nghttp2_nv> list;
  list.reserve(fields.size());
  for (auto& [name, value] : fields) {
    list.push_back({reinterpret_cast<uint8_t*>(name.data()),
                    reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(),
                    NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_data_provider body{};
  body.source.ptr = stream;
  body.read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t length,
                          uint32_t* flags, nghttp2_data_source* source, void* user) {
    return Self(user)->ReadAnswer(static_cast<Http2Stream*>(source->ptr), buffer, length, flags);
  };
  nghttp2_submit_response(session_, stream->id, list.data(), list.size(), &body);
  events_.wake();
}

ssize_t Http2Server::ReadAnswer(Http2Stream* stream, uint8_t* buffer, size_t length,
                                uint32_t* flags) {
  const size_t size = std::min(length, stream->queue.size() - stream->taken);
  if (size == 0 && !stream->ended) return NGHTTP2_ERR_DEFERRED;
  std::memcpy(buffer, stream->queue.data() + stream->taken, size);
  stream->taken += size;
  if (stream->taken == stream->queue.size()) {
    stream->queue.clear();
    stream->taken = 0;
  }
  if (stream->queue.empty() && stream->ended) *flags |= NGHTTP2_DATA_FLAG_EOF;
  events_.sent(stream->request.target, size);
  return static_cast<ssize_t>(size);
}

void Http2Server::Resume(Http2Stream* stream) {
  nghttp2_session_resume_data(session_, stream->id);
  events_.wake();
}

}  // namespace

std::unique_ptr<FakeServerProtocol> MakeFakeHttp2(FakeServerEvents events, uint32_t max_streams) {
  return std::make_unique<Http2Server>(std::move(events), max_streams);
}

}  // namespace fairlead::fakes
