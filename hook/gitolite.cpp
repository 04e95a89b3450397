#include "hook/gitolite.hpp"

#include "hook/program.hpp"
#include "scanner/core/evidence.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace hubgate {
namespace {

constexpr std::size_t k_groups = 1000;
constexpr std::size_t k_name = 200;

// As gitolite has them: no blank, and nothing that looks like a flag.
bool is_plain(std::string_view user) {
  return !user.empty() && user.front() != '-' && std::all_of(user.begin(), user.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '@' || c == '+';
  });
}

} // namespace

std::vector<std::string> groups_in(std::string_view answer) {
  std::vector<std::string> out;
  while (!answer.empty() && out.size() < k_groups) {
    const std::size_t end = std::min(answer.find('\n'), answer.size());
    std::string_view line = answer.substr(0, end);
    answer.remove_prefix(std::min(end + 1, answer.size()));
    // The user's own name stands there too.
    if (line.size() > 1 && line.size() <= k_name && line.front() == '@')
      out.emplace_back(line.substr(1));
  }
  return out;
}

Result<std::vector<std::string>> gitolite_groups(const std::string& user) {
  if (!is_plain(user)) return Error{printable(user, 100) + " is no name of a gitolite user"};
  // Where it was installed from, unless a package has put it elsewhere.
  const char* folder = std::getenv("GL_BINDIR");
  std::string program = folder == nullptr ? std::string() : std::string(folder) + "/gitolite";
  if (access(program.c_str(), X_OK) != 0) program = "gitolite";
  const auto answer =
      HUBGATE_TRY(run_and_read({.words = {program, "list-memberships", "-u", user}}));
  if (answer.status != 0)
    return Error{"`gitolite list-memberships` failed (status " + std::to_string(answer.status) +
                 ")"};
  return groups_in(answer.output);
}

} // namespace hubgate
