#include "bench/replay_connection.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace fairlead::bench {
namespace {

constexpr size_t kOutput = size_t{256} << 10;
constexpr size_t kInput = size_t{16} << 10;

nghttp2_nv Header(std::string_view name, std::string_view value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

ReplayConnection::ReplayConnection(int socket, SSL_CTX* tls, const ReplayApi* api, int wake,
                                   const std::atomic<bool>* ending)
    : socket_(socket),
      tls_(SSL_new(tls)),
      api_(api),
      wake_(wake),
      ending_(ending),
      input_(kInput, '\0') {
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  SSL_set_fd(tls_, socket_);
  MakeSession();
}

ReplayConnection::~ReplayConnection() {
  nghttp2_session_del(session_);
  SSL_free(tls_);
  close(socket_);
}

void ReplayConnection::MakeSession() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
         const uint8_t* value, size_t value_size, uint8_t, void* user) {
        const std::string_view key(reinterpret_cast<const char*>(name), name_size);
        if (key == ":path") {
          Self(user)->streams_[frame->hd.stream_id].target.assign(
              reinterpret_cast<const char*>(value), value_size);
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->hd.type == NGHTTP2_HEADERS) Self(user)->Answer(frame->hd.stream_id);
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, int32_t id, uint32_t, void* user) {
        Self(user)->streams_.erase(id);
        return 0;
      });
  nghttp2_session_server_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  // 250 streams, as a kube-apiserver allows.
  const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 250}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, std::size(entries));
}

ssize_t ReplayConnection::Read(nghttp2_session*, int32_t id, uint8_t* buffer, size_t size,
                               uint32_t* flags, nghttp2_data_source*, void* user) {
  Stream& stream = Self(user)->streams_[id];
  if (stream.taken == stream.piece.size()) {
    stream.piece.clear();
    stream.taken = 0;
    switch (stream.body->Append(&stream.piece)) {
      case ReplayBody::Next::kPiece:
        break;
      case ReplayBody::Next::kWait:
        stream.deferred = true;
        return NGHTTP2_ERR_DEFERRED;
      case ReplayBody::Next::kEnd:
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
  }
  const size_t count = std::min(size, stream.piece.size() - stream.taken);
  std::memcpy(buffer, stream.piece.data() + stream.taken, count);
  stream.taken += count;
  return static_cast<ssize_t>(count);
}

void ReplayConnection::Answer(int32_t id) {
  Stream& stream = streams_[id];
  ReplayAnswer answer = api_->Get(stream.target);
  stream.body = std::move(answer.body);
  const std::string status = std::to_string(answer.status);
  const nghttp2_nv headers[] = {Header(":status", status),
                                Header("content-type", "application/json")};
  nghttp2_data_provider body{};
  body.read_callback = Read;
  nghttp2_submit_response(session_, id, headers, std::size(headers), &body);
}

void ReplayConnection::ResumeDeferred() {
  if (resumed_ || !api_->released()) return;
  resumed_ = true;
  for (auto& [id, stream] : streams_) {
    if (!stream.deferred) continue;
    stream.deferred = false;
    nghttp2_session_resume_data(session_, id);
  }
}

// As much as the windows and the socket take.
bool ReplayConnection::Send() {
  for (;;) {
    while (output_.size() - sent_ < kOutput) {
      const uint8_t* data = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size < 0) return false;
      if (size == 0) break;
      output_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    }
    if (sent_ == output_.size()) return true;
    const int count =
        SSL_write(tls_, output_.data() + sent_, static_cast<int>(output_.size() - sent_));
    if (count <= 0) return SSL_get_error(tls_, count) == SSL_ERROR_WANT_WRITE;
    sent_ += static_cast<size_t>(count);
    if (sent_ == output_.size()) {
      output_.clear();
      sent_ = 0;
    } else if (sent_ >= kOutput) {
      output_.erase(0, sent_);
      sent_ = 0;
    }
  }
}

bool ReplayConnection::Receive() {
  received_ = false;
  for (;;) {
    const int count = SSL_read(tls_, input_.data(), static_cast<int>(input_.size()));
    if (count <= 0) return SSL_get_error(tls_, count) == SSL_ERROR_WANT_READ;
    received_ = true;
    const auto* data = reinterpret_cast<const uint8_t*>(input_.data());
    if (nghttp2_session_mem_recv(session_, data, static_cast<size_t>(count)) < 0) return false;
  }
}

void ReplayConnection::Wait() {
  const bool blocked = sent_ < output_.size();
  pollfd ready[] = {{socket_, static_cast<int16_t>(POLLIN | (blocked ? POLLOUT : 0)), 0},
                    {wake_, POLLIN, 0}};
  // Once the release was seen the eventfd stays readable; the end shuts the socket down.
  poll(ready, resumed_ ? 1 : 2, -1);
}

void ReplayConnection::Run() {
  if (SSL_accept(tls_) != 1) return;
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
  while (!*ending_) {
    if (!Receive()) return;
    ResumeDeferred();
    if (!Send()) return;
    if (!received_) Wait();
  }
}

}  // namespace fairlead::bench
