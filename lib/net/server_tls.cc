#include "lib/net/server_tls.h"

#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "lib/base/strings.h"

namespace fairlead::net {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

absl::StatusOr<std::shared_ptr<ssl::context>> MakeServerContext(const ServerTlsFiles& files) {
  const auto failed = [](const std::string& file, const std::string& why) {
    return absl::InvalidArgumentError(base::StrCat(file, ": ", why));
  };
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  error_code error;
  context->set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
  context->use_certificate_chain_file(files.certificate, error);
  if (error) return failed(files.certificate, error.message());
  context->use_private_key_file(files.key, ssl::context::pem, error);
  if (error) return failed(files.key, error.message());
  if (SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return failed(files.key, base::StrCat("is not the key of ", files.certificate));
  }
  // A certificate is verified for each connection anew, never remembered.
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_TICKET);
  if (files.ca.empty()) return context;
  context->load_verify_file(files.ca, error);
  if (error) return failed(files.ca, error.message());
  context->set_verify_mode(ssl::verify_peer, error);
  return context;
}

std::string FilesStamp(const ServerTlsFiles& files) {
  std::string stamp;
  for (const std::string* file : {&files.certificate, &files.key, &files.ca}) {
    struct stat info {};
    if (file->empty() || stat(file->c_str(), &info) != 0) continue;
    stamp += base::StrCat(info.st_ino, ":", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, " ");
  }
  return stamp;
}

std::vector<std::string> PeerUris(SSL* connection) {
  std::vector<std::string> uris;
  X509* certificate = SSL_get_peer_certificate(connection);
  if (certificate == nullptr) return uris;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                      static_cast<size_t>(ASN1_STRING_length(uri)));
  }
  GENERAL_NAMES_free(names);
  X509_free(certificate);
  return uris;
}

}  // namespace fairlead::net
