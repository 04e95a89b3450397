#include "hook/config.hpp"

#include "policy/yaml.hpp"
#include "scanner/core/evidence.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace hubgate {
namespace {

// What `hubgate serve` reads from the same file.
constexpr std::array<std::string_view, 10> k_of_the_proxy{
    "listen", "admin", "upstream", "public_url", "tls",
    "follow", "git",   "trickle",  "link_life",  "limits"};

void read_hook(yaml::Mapping& top, HookConfig& config) {
  auto hook = top.mapping("hook");
  if (!hook) return;
  static constexpr std::array<std::string_view, 2> k_histories{"judge", "accept"};
  if (const auto history = hook->choice("history", k_histories))
    config.history = *history == 1 ? HookConfig::History::accept : HookConfig::History::judge;
  if (const auto size = hook->size("big_blob")) config.big_blob = *size;
  if (const auto timeout = hook->duration("timeout"))
    config.timeout = static_cast<double>(timeout->count()) / 1000;
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
