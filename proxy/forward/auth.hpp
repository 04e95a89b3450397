#pragma once
// Who may use the forward proxy: Basic credentials (RFC 7617) against a file of hashes, or against
// a program that speaks the protocol of squid's basic authentication helpers.
#include "proxy/forward/config.hpp"
#include "proxy/relay/pace.hpp"

#include <filesystem>
#include <mutex>
#include <set>
#include <unordered_map>

namespace hubgate::proxy {

struct Person {
  std::string name;
  std::vector<std::string> groups;
};

struct Admission {
  std::optional<Person> person;        ///< nothing: not let in
  std::chrono::seconds retry_after{0}; ///< not zero: not even looked at before then
  bool tell = false;                   ///< worth a line in the audit log
};

/// NAME:HASH[:GROUP,GROUP…] a line, as crypt(5) writes hashes: yescrypt ($y$), SHA-512 ($6$),
/// SHA-256
/// ($5$), bcrypt ($2b$, $2y$). Weaker ones are errors. '#' begins a comment.
class Users {
public:
  static Result<Users> parse(std::string_view text, std::string_view source);
  /// Takes as long for a name that is unknown. Blocks for some milliseconds.
  std::optional<Person> check(const std::string& name, const std::string& password) const;
  std::size_t size() const { return users_.size(); }

private:
  struct User {
    std::string hash;
    std::vector<std::string> groups;
  };
  std::unordered_map<std::string, User> users_;
};

/// NAME and PASSWORD of "Basic …"; nothing when it is something else or has control characters.
std::optional<std::pair<std::string, std::string>> basic_credentials(std::string_view field);

/// What a helper answered: "OK", perhaps with "group=NAME" words.
std::optional<std::vector<std::string>> helper_groups(std::string_view line);

class Doorkeeper {
public:
  Doorkeeper(Loop& loop, const ForwardConfig& config);
  ~Doorkeeper();
  /// Reads the file of users, if there is one.
  Result<void> open();
  /// Whether anybody is asked who they are.
  bool asks() const { return !config_.users.empty() || !config_.helper.empty(); }
  /// `field`: the value of Proxy-Authorization; `from`: the client's address. What costs a hash is
  /// done for few at a time, once for the same credentials, and not for an address that was wrong
  /// too often; credentials that were right within the last minute are never held up.
  Task<Admission> ask(std::string field, std::string from);

private:
  struct Helper;
  struct Turn;
  std::optional<Person> check(const std::string& name, const std::string& password);
  std::shared_ptr<const Users> users();

  Loop& loop_;
  const ForwardConfig& config_;
  std::mutex mutex_; ///< for what checks on other threads share
  std::shared_ptr<const Users> users_;
  std::filesystem::file_time_type read_at_;
  std::unique_ptr<Helper> helper_;
  struct Known {
    Person person;
    TimePoint since;
  };
  std::string salt_;
  Recent<Known> known_{4096};      ///< by a keyed hash of the credentials
  Recent<TimePoint> wrong_{4096};  ///< the same, when they were found wrong
  Pace failures_;                  ///< by address
  Pace told_;                      ///< by address, that it is held up
  std::set<std::string> checking_; ///< by a keyed hash of the credentials
  Event checked_;
};

} // namespace hubgate::proxy
