#include "lib/sql/database.h"

#include <charconv>
#include <map>
#include <string_view>

#include "lib/base/status.h"
#include "lib/sql/mysql.h"
#include "lib/sql/postgres.h"
#include "lib/sql/sqlite.h"

namespace fairlead::sql {
namespace {

absl::Status Wrong(std::string_view what) {
  return absl::FailedPreconditionError(base::StrCat(
      "database url: ", what, "; it is mariadb://user@host[:port]/database[?ca=FILE]"));
}

// What stands before the first `mark`, which goes too; all of it, or nothing, when there is none.
std::string_view TakeUntil(std::string_view* text, char mark, bool all) {
  const size_t at = text->find(mark);
  if (at == std::string_view::npos) {
    const std::string_view taken = all ? *text : std::string_view();
    if (all) *text = {};
    return taken;
  }
  const std::string_view taken = text->substr(0, at);
  text->remove_prefix(at + 1);
  return taken;
}

absl::StatusOr<MysqlOptions> ParseMysql(const DatabaseOptions& options) {
  MysqlOptions parsed;
  parsed.password = options.password;
  std::string_view rest = std::string_view(options.url).substr(options.url.find("://") + 3);
  parsed.user = std::string(TakeUntil(&rest, '@', /*all=*/false));
  if (parsed.user.find(':') != std::string::npos)
    return Wrong("a password does not belong into it (passwordFile)");
  std::string_view place = TakeUntil(&rest, '/', /*all=*/true);
  parsed.host = std::string(TakeUntil(&place, ':', /*all=*/true));
  if (!place.empty()) {
    const auto [end, error] =
        std::from_chars(place.data(), place.data() + place.size(), parsed.port);
    if (error != std::errc() || end != place.data() + place.size()) return Wrong("the port");
  }
  parsed.database = std::string(TakeUntil(&rest, '?', /*all=*/true));
  while (!rest.empty()) {
    std::string_view value = TakeUntil(&rest, '&', /*all=*/true);
    const std::string_view key = TakeUntil(&value, '=', /*all=*/true);
    if (key == "ca") {
      parsed.ca_file = std::string(value);
    } else if (key == "socket") {
      parsed.socket = std::string(value);
    } else {
      return Wrong(base::StrCat("unknown option \"", key, "\""));
    }
  }
  if (parsed.user.empty()) return Wrong("no user");
  if (parsed.database.empty()) return Wrong("no database");
  if (parsed.host.empty() && parsed.socket.empty()) return Wrong("no host");
  return parsed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Open(const DatabaseOptions& options, Access access) {
  const bool read_only = access == Access::kReadOnly;
  if (options.url.empty()) {
    return OpenSqlite({.path = options.sqlite_path,
                       .read_only = read_only,
                       .max_pages = options.sqlite_max_pages});
  }
  if (options.url.starts_with("postgresql://")) {
    return OpenPostgres({.url = options.url, .password = options.password, .read_only = read_only});
  }
  if (!options.url.starts_with("mariadb://")) {
    return absl::FailedPreconditionError(
        "database url: it begins with postgresql:// or mariadb://; without one SQLite is used");
  }
  FAIRLEAD_ASSIGN_OR_RETURN(MysqlOptions mysql, ParseMysql(options));
  mysql.read_only = read_only;
  return OpenMysql(mysql);
}

std::string Describe(const DatabaseOptions& options) {
  if (options.url.empty()) return options.sqlite_path;
  const std::string shown = options.url.substr(0, options.url.find('?'));
  const size_t at = shown.find('@');
  const size_t colon = shown.find(':', shown.find("//"));
  if (at == std::string::npos || colon > at) return shown;
  return base::StrCat(shown.substr(0, colon), shown.substr(at));
}

}  // namespace fairlead::sql
