#include "hook/config.hpp"

#include "hook/gitolite.hpp"
#include "policy/git/answer.hpp"
#include "policy/yaml.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

namespace hubgate {
namespace {

// What `hubgate serve` reads from the same file.
constexpr auto k_of_the_proxy = std::to_array<std::string_view>(
    {"listen", "admin", "icap", "upstream", "public_url", "tls", "follow", "git", "trickle",
     "link_life", "limits", "xet", "cache", "proxy", "resolve", "upstream_proxy", "no_proxy",
     "proxy_protocol"});

void read_socket(yaml::Mapping& top, HookConfig& config) {
  config.socket = top.text("socket").value_or("");
  config.socket_group = top.text("socket_group").value_or("");
  const auto mode = top.text("socket_mode");
  if (!mode) return;
  const auto bits =
      std::from_chars(mode->data(), mode->data() + mode->size(), config.socket_mode, 8);
  if (bits.ec != std::errc() || bits.ptr != mode->data() + mode->size() ||
      config.socket_mode > 0777)
    top.error("socket_mode", "must be octal, as 0660");
}

void read_hook(yaml::Mapping& top, HookConfig& config) {
  auto hook = top.mapping("hook");
  if (!hook) return;
  static constexpr std::array<std::string_view, 2> k_histories{"judge", "accept"};
  if (const auto history = hook->choice("history", k_histories))
    config.history = *history == 1 ? HookConfig::History::accept : HookConfig::History::judge;
  if (const auto variable = hook->text("groups_from")) {
    config.groups_from = *variable;
    const bool name =
        *variable == k_groups_of_gitolite ||
        (!variable->empty() && std::all_of(variable->begin(), variable->end(), [](char c) {
          return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        }));
    if (!name)
      hook->error("groups_from", "is no name of a variable (A-Z, 0-9 and '_') and not gitolite");
  }
  if (const auto lines = hook->list("message"))
    for (const auto& line: *lines)
      config.message += (config.message.empty() ? "" : "\n") + line.text;
  if (const auto link = hook->text("waiver_link")) {
    config.waiver_link = *link;
    if (!link->starts_with("https://") && !link->starts_with("http://") &&
        !link->starts_with("mailto:"))
      hook->error("waiver_link", "begins with https://, http:// or mailto:");
    if (const auto unknown = unknown_field(*link); !unknown.empty())
      hook->error("waiver_link", "knows no " + unknown +
                                     ": {reference}, {sha256}, {rules}, {repo}, {path}, {user}");
  }
  if (const auto size = hook->size("big_blob")) config.big_blob = *size;
  if (const auto timeout = hook->duration("timeout"))
    config.timeout = static_cast<double>(timeout->count()) / 1000;
  static constexpr std::array<std::string_view, 2> k_modes{"scan", "lookup"};
  if (const auto mode = hook->choice("mode", k_modes))
    config.mode = *mode == 1 ? HookConfig::Mode::lookup : HookConfig::Mode::scan;
  config.daemon = hook->text("daemon").value_or("");
  static constexpr std::array<std::string_view, 2> k_without{"scan", "refuse"};
  if (const auto without = hook->choice("without_daemon", k_without))
    config.without_daemon =
        *without == 1 ? HookConfig::WithoutDaemon::refuse : HookConfig::WithoutDaemon::scan;
  if (const auto users = hook->list("trusted_users"))
    for (const auto& user: *users)
      config.trusted_users.push_back(user.text);
  if (const auto most = hook->number("max_objects")) config.max_objects = *most;
  if (const auto most = hook->number("max_paths")) config.max_paths = *most;
  if (config.big_blob > std::uint64_t{256} << 20)
    hook->error("big_blob", "must be at most 256 MiB: blobs below it are held in memory");
  hook->finish();
}

} // namespace

Result<HookConfig> hook_config_from(std::string_view text, std::string_view source) {
  HookConfig config;
  auto document = yaml::parse(text, source);
  auto top = document.top();
  config.data = top.text("data").value_or("");
  config.policy = top.text("policy").value_or("");
  config.lfs = read_lfs_config(top);
  read_hook(top, config);
  read_socket(top, config);
  for (const auto key: k_of_the_proxy)
    top.skip(key);
  top.finish();
  if (auto error = document.first_error()) return *error;
  return config;
}

Result<HookConfig> load_hook_config(const std::filesystem::path& file) {
  if (file.empty()) return HookConfig();
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return Error{printable(file.string(), 300) + ": can't be read: " + std::strerror(errno)};
  return hook_config_from(text.str(), file.string());
}

} // namespace hubgate
