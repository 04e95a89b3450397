#include "hook/git_command.hpp"

#include "hook/program.hpp"

namespace hubgate {

Result<void> run_git(const std::vector<std::string>& arguments, std::string_view input,
                     const std::function<Result<void>(Bytes)>& take) {
  Program git{.words = {"git", "--no-replace-objects"}, .input = input};
  git.words.insert(git.words.end(), arguments.begin(), arguments.end());
  const int status = HUBGATE_TRY(run_program(git, take));
  if (status != 0) return Error{"git " + arguments.front() + " failed"};
  return {};
}

} // namespace hubgate
