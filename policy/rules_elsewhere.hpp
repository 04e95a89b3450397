#pragma once
// For a process that decides by a policy whose objects are scanned elsewhere, as the hook with a
// daemon: Policy::from_yaml() with this folder leaves the policy's YARA files unread.
#include <string_view>

namespace hubgate {

inline constexpr std::string_view k_rules_elsewhere = "/dev/null";

} // namespace hubgate
