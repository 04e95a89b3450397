#include "proxy/forward/auth.hpp"

#include "policy/yaml.hpp"
#include "proxy/http/head.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/worker/spool.hpp"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace hubgate::proxy {

namespace {

constexpr auto k_remember = std::chrono::minutes(1);
/// Shorter: who has just been entered need not wait long.
constexpr auto k_remember_wrong = std::chrono::seconds(10);
constexpr std::size_t k_checks = 2; ///< at once; other work wants a thread, too
constexpr auto k_longest_turn = std::chrono::seconds(20);
constexpr unsigned k_failures = 10; ///< of an address at once, then one each
constexpr auto k_failure_each = std::chrono::seconds(6);
constexpr auto k_tell_each = std::chrono::minutes(1);
constexpr std::uintmax_t k_max_file = std::uintmax_t{4} << 20;
constexpr std::size_t k_max_field = 4096;
constexpr int k_helper_wait_ms = 10'000;
constexpr std::size_t k_max_line = 4096;
/// Of a password that nobody has: unknown names take as long as known ones.
constexpr const char* k_nobody =
    "$6$hubgate.nobody$"
    "0000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000";

bool is_sound(std::string_view hash) {
  for (const std::string_view kind: {"$y$", "$6$", "$5$", "$2b$", "$2y$"})
    if (hash.starts_with(kind)) return hash.size() > 20;
  return false;
}

std::vector<std::string> split_words(std::string_view text, char at) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    if (const auto word = trimmed(text.substr(0, end)); !word.empty()) out.emplace_back(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

bool matches(const std::string& password, const std::string& hash) {
  crypt_data data{};
  const char* made = crypt_r(password.c_str(), hash.c_str(), &data);
  if (made == nullptr || made[0] == '*') return false;
  const std::string_view result = made;
  return result.size() == hash.size() &&
         CRYPTO_memcmp(result.data(), hash.data(), hash.size()) == 0;
}

} // namespace

Result<Users> Users::parse(std::string_view text, std::string_view source) {
  Users out;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trimmed(line);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const auto fail = [&](std::string_view why) {
      return Error{std::string(source) + ":" + std::to_string(number) + ": " + std::string(why)};
    };
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return fail("must be NAME:HASH[:GROUPS]");
    const std::string_view rest = line.substr(colon + 1);
    const std::size_t second = std::min(rest.find(':'), rest.size());
    User user;
    user.hash = rest.substr(0, second);
    user.groups = split_words(rest.substr(std::min(second + 1, rest.size())), ',');
    if (!is_sound(user.hash))
      return fail("the hash must be yescrypt, SHA-512, SHA-256 or bcrypt (mkpasswd, openssl passwd "
                  "-6, htpasswd -B)");
    if (!out.users_.emplace(line.substr(0, colon), std::move(user)).second)
      return fail("this name is there twice");
  }
  return out;
}

std::optional<Person> Users::check(const std::string& name, const std::string& password) const {
  const auto at = users_.find(name);
  if (at == users_.end()) {
    (void)matches(password, k_nobody);
    return std::nullopt;
  }
  if (!matches(password, at->second.hash)) return std::nullopt;
  return Person{name, at->second.groups};
}

std::optional<std::pair<std::string, std::string>> basic_credentials(std::string_view field) {
  const std::size_t space = field.find(' ');
  if (field.size() > k_max_field || space == std::string_view::npos ||
      !equals_ignoring_case(field.substr(0, space), "basic"))
    return std::nullopt;
  const std::string token(trimmed(field.substr(space)));
  if (token.empty() || token.size() % 4 != 0) return std::nullopt;
  std::string plain(token.size(), '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(plain.data()),
                                reinterpret_cast<const unsigned char*>(token.data()),
                                static_cast<int>(token.size()));
  if (n < 0) return std::nullopt;
  plain.resize(static_cast<std::size_t>(n));
  for (std::size_t i = token.size(); i-- > 0 && token[i] == '=' && !plain.empty();)
    plain.pop_back();
  const std::size_t colon = plain.find(':');
  if (colon == std::string::npos || colon == 0 || has_control(plain)) return std::nullopt;
  return std::pair(plain.substr(0, colon), plain.substr(colon + 1));
}

std::optional<std::vector<std::string>> helper_groups(std::string_view line) {
  const auto words = split_words(line, ' ');
  if (words.empty() || words[0] != "OK") return std::nullopt;
  std::vector<std::string> out;
  for (const std::string& word: words) {
    if (!word.starts_with("group=")) continue;
    std::string_view value = std::string_view(word).substr(6);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    if (!value.empty()) out.emplace_back(value);
  }
  return out;
}

/// The program, started when it is first asked, and again when it has ended. One question at a
/// time.
struct Doorkeeper::Helper {
  explicit Helper(const std::vector<std::string>& command_) : command(command_) {}
  ~Helper() { stop(); }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  void stop() {
    socket.reset();
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    pid = -1;
  }

  bool start() {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return false;
    socket = Fd(pair[0]);
    const Fd theirs(pair[1]);
    posix_spawn_file_actions_t files{};
    posix_spawnattr_t attributes{};
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, theirs.get(), 0);
    posix_spawn_file_actions_adddup2(&files, theirs.get(), 1);
    posix_spawnattr_init(&attributes);
    sigset_t ordinary;
    sigemptyset(&ordinary);
    sigaddset(&ordinary, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &ordinary);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> words;
    for (const std::string& word: command)
      words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const int failed = ::posix_spawnp(&pid, words[0], &files, &attributes, words.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (failed == 0) return true;
    pid = -1;
    socket.reset();
    return false;
  }

  // The line that answers; "" when there is none in time.
  std::string ask(const std::string& question) {
    if (pid < 0 && !start()) return {};
    if (::send(socket.get(), question.data(), question.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(question.size())) {
      stop();
      return {};
    }
    std::string line;
    const auto until = Clock::now() + std::chrono::milliseconds(k_helper_wait_ms);
    while (line.size() < k_max_line) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      pollfd ready{socket.get(), POLLIN, 0};
      char c = 0;
      if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0 ||
          ::recv(socket.get(), &c, 1, 0) != 1)
        break;
      if (c == '\n') return line;
      line += c;
    }
    stop(); // a late answer must not be taken for the next one
    return {};
  }

  std::vector<std::string> command;
  Fd socket;
  pid_t pid = -1;
};

Doorkeeper::Doorkeeper(Loop& loop, const ForwardConfig& config)
    : loop_(loop), config_(config), failures_(k_failures, k_failure_each), told_(1, k_tell_each),
      checked_(loop) {
  std::array<unsigned char, 32> salt{};
  RAND_bytes(salt.data(), salt.size());
  salt_.assign(reinterpret_cast<const char*>(salt.data()), salt.size());
  if (!config.helper.empty()) helper_ = std::make_unique<Helper>(config.helper);
}
Doorkeeper::~Doorkeeper() = default;

Result<void> Doorkeeper::open() {
  if (config_.users.empty()) return {};
  const std::string text = HUBGATE_TRY(yaml::read_file(config_.users, k_max_file));
  std::error_code ignored;
  read_at_ = std::filesystem::last_write_time(config_.users, ignored);
  users_ = std::make_shared<const Users>(HUBGATE_TRY(Users::parse(text, config_.users)));
  return {};
}

// The users as they are in the file now; as they were, while it can't be read.
std::shared_ptr<const Users> Doorkeeper::users() {
  const std::lock_guard lock(mutex_);
  std::error_code missing;
  const auto changed = std::filesystem::last_write_time(config_.users, missing);
  if (!missing && changed != read_at_)
    if (const auto read = open(); !read && loop_.on_error) loop_.on_error(read.error().message);
  return users_;
}

std::optional<Person> Doorkeeper::check(const std::string& name, const std::string& password) {
  if (!helper_) return users()->check(name, password);
  const std::lock_guard lock(mutex_);
  const std::string line =
      helper_->ask(percent_encoded(name) + " " + percent_encoded(password) + "\n");
  auto groups = helper_groups(line);
  if (!groups) return std::nullopt;
  return Person{name, std::move(*groups)};
}

struct Doorkeeper::Turn {
  Turn(Doorkeeper& door_, const std::string& key_) : door(door_), key(key_) {
    door.checking_.insert(key);
  }
  ~Turn() {
    door.checking_.erase(key);
    door.checked_.notify();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  Doorkeeper& door;
  const std::string& key;
};

Task<Admission> Doorkeeper::ask(std::string field, std::string from) {
  Admission out;
  const auto credentials = basic_credentials(field);
  if (!credentials) co_return out;
  const std::string key = hex(sha256(as_bytes(salt_ + field)));
  const std::string who = neighbourhood(from);
  const TimePoint until = Clock::now() + k_longest_turn;
  for (;;) {
    const TimePoint now = Clock::now();
    if (const Known* known = known_.find(key); known && now - known->since < k_remember) {
      out.person = known->person;
      co_return out;
    }
    if (const TimePoint* wrong = wrong_.find(key); wrong && now - *wrong < k_remember_wrong)
      co_return out;
    Duration wait = failures_.wait(who, now);
    const bool turn = checking_.size() < k_checks && !checking_.contains(key);
    if (!turn && now >= until) wait = std::chrono::seconds(1);
    if (wait > Duration::zero()) {
      out.retry_after = std::chrono::ceil<std::chrono::seconds>(wait);
      out.tell = told_.take(who, now);
      co_return out;
    }
    if (turn) break;
    co_await checked_.wait(until - now);
  }
  {
    const Turn turn(*this, key);
    out.person =
        co_await loop_.offload([&] { return check(credentials->first, credentials->second); });
  }
  if (out.person) {
    Known known;
    known.person = *out.person;
    known.since = Clock::now();
    known_.put(key, std::move(known));
  } else {
    wrong_.put(key, Clock::now());
    failures_.count(who, Clock::now());
    out.tell = true;
  }
  co_return out;
}

} // namespace hubgate::proxy
