#include "cli/connection.h"

#include <curl/curl.h>

#include <array>
#include <utility>

#include "cli/answers.h"
#include "lib/base/config_reader.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/base/version.h"
#include "lib/json/dom.h"

namespace fairlead::cli {
namespace {

using base::StrCat;

absl::StatusOr<std::string> Content(const std::string& path, const char* what) {
  if (path.empty()) return std::string();
  auto text = base::ReadFile(path);
  if (!text.ok()) return base::WithContext(text.status(), what);
  if (text->empty()) return absl::InvalidArgumentError(StrCat(what, ": ", path, " is empty"));
  return text;
}

absl::StatusOr<rest::ClientOptions> OptionsOf(const Settings& settings) {
  rest::ClientOptions options;
  options.base_url = settings.endpoint;
  options.user_agent = StrCat("fairleadctl/", base::kVersion);
  options.timeout = base::seconds(settings.timeout_seconds);
  FAIRLEAD_ASSIGN_OR_RETURN(options.ca_pem, Content(settings.ca_file, "CA (--ca, caFile)"));
  FAIRLEAD_ASSIGN_OR_RETURN(
      options.certificate_pem,
      Content(settings.certificate_file, "client certificate (--cert, certificateFile)"));
  FAIRLEAD_ASSIGN_OR_RETURN(options.key_pem,
                            Content(settings.key_file, "client key (--key, keyFile)"));
  FAIRLEAD_ASSIGN_OR_RETURN(options.bearer_token,
                            Content(settings.token_file, "token (--token-file, tokenFile)"));
  const size_t end = options.bearer_token.find_last_not_of(" \t\r\n");
  options.bearer_token.resize(end == std::string::npos ? 0 : end + 1);
  if (options.bearer_token.find_first_of(" \t\r\n") != std::string::npos) {
    return absl::InvalidArgumentError(
        StrCat("token (--token-file, tokenFile): ", settings.token_file, " holds no single token"));
  }
  return options;
}

// What libcurl's callback needs of one stream.
struct Running {
  CURL* handle = nullptr;
  const std::function<absl::Status(std::string_view)>* on_bytes = nullptr;
  absl::Status refused;    // by on_bytes
  std::string error_body;  // of an answer that is not 2xx, as far as it says why
  long code = 0;           // NOLINT(google-runtime-int): libcurl's type
};

size_t OnData(char* data, size_t, size_t size, void* user) {
  constexpr size_t kMostError = size_t{64} << 10;
  auto* running = static_cast<Running*>(user);
  curl_easy_getinfo(running->handle, CURLINFO_RESPONSE_CODE, &running->code);
  if (running->code < 200 || running->code > 299) {
    if (running->error_body.size() < kMostError) running->error_body.append(data, size);
    return size;
  }
  running->refused = (*running->on_bytes)(std::string_view(data, size));
  return running->refused.ok() ? size : 0;
}

void SetPem(CURL* handle, CURLoption option, const std::string& pem) {
  if (pem.empty()) return;
  // libcurl does not write to it.
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_NOCOPY};
  curl_easy_setopt(handle, option, &blob);
}

}  // namespace

Connection::Connection(rest::ClientOptions options, std::unique_ptr<rest::Client> client)
    : options_(std::move(options)), client_(std::move(client)) {}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const Settings& settings) {
  FAIRLEAD_ASSIGN_OR_RETURN(rest::ClientOptions options, OptionsOf(settings));
  auto client = rest::Client::Make(options);
  if (!client.ok()) return client.status();
  return std::unique_ptr<Connection>(new Connection(std::move(options), *std::move(client)));
}

absl::StatusOr<rest::Answer> Connection::GetText(const std::string& path) {
  auto answer = client_->Call("GET", path, "");
  if (!answer.ok()) return TransportError(answer.status());
  return answer;
}

absl::StatusOr<Json::Value> Connection::GetJson(const std::string& path) {
  FAIRLEAD_ASSIGN_OR_RETURN(const rest::Answer answer, GetText(path));
  return Parsed(answer);
}

absl::StatusOr<Json::Value> Connection::PostJson(const std::string& path) {
  const auto answer = client_->Call("POST", path, "");
  if (!answer.ok()) return TransportError(answer.status());
  return Parsed(*answer);
}

absl::StatusOr<Json::Value> Connection::Parsed(const rest::Answer& answer) {
  if (!answer.ok()) return base::WithContext(AnswerError(answer.code, answer.body), url());
  auto body = json::ParseJson(answer.body, {.max_bytes = options_.max_answer_bytes});
  if (body.ok() && body->isObject()) return body;
  return absl::UnavailableError(
      StrCat(url(), " does not answer as an endpoint of Fairlead does; check its address"));
}

absl::Status Connection::Stream(const std::string& path,
                                const std::function<absl::Status(std::string_view)>& on_bytes) {
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), curl_easy_cleanup);
  std::array<char, CURL_ERROR_SIZE> problem{};
  Running running{handle.get(), &on_bytes};
  CURL* curl = handle.get();
  const std::string target = StrCat(url(), path);
  curl_easy_setopt(curl, CURLOPT_URL, target.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");  // as lib/rest
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, options_.user_agent.c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 45L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem.data());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnData);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &running);
  SetPem(curl, CURLOPT_CAINFO_BLOB, options_.ca_pem);
  SetPem(curl, CURLOPT_SSLCERT_BLOB, options_.certificate_pem);
  SetPem(curl, CURLOPT_SSLKEY_BLOB, options_.key_pem);
  if (!options_.bearer_token.empty()) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, options_.bearer_token.c_str());
  }
  const CURLcode result = curl_easy_perform(curl);
  if (!running.refused.ok()) return running.refused;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &running.code);
  if (running.code != 0 && (running.code < 200 || running.code > 299)) {
    return base::WithContext(AnswerError(static_cast<int>(running.code), running.error_body),
                             url());
  }
  if (result == CURLE_OK) {
    return absl::UnavailableError(StrCat(url(), ": the endpoint ended the stream"));
  }
  const std::string why = problem[0] == 0 ? curl_easy_strerror(result) : problem.data();
  return TransportError(absl::UnavailableError(StrCat(url(), ": ", why)));
}

}  // namespace fairlead::cli
