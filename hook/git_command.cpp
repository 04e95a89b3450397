#include "hook/git_command.hpp"

#include "scanner/worker/spool.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace hubgate {
namespace {

Error failed(std::string_view what) {
  return Error{"git: " + std::string(what) + ": " + std::strerror(errno)};
}

class FileActions {
public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

private:
  posix_spawn_file_actions_t actions_{};
};

// Feeds and drains the child until its output ends. Both at once: it may answer while we write.
Result<void> converse(Fd& to, Fd& from, std::string_view input,
                      const std::function<Result<void>(Bytes)>& take) {
  std::vector<std::uint8_t> buffer(std::size_t{256} << 10);
  fcntl(to.get(), F_SETFL, O_NONBLOCK);
  while (true) {
    if (input.empty()) to.reset();
    std::array<pollfd, 2> ready{{{from.get(), POLLIN, 0}, {to.get(), POLLOUT, 0}}};
    if (poll(ready.data(), to ? 2 : 1, -1) < 0) {
      if (errno == EINTR) continue;
      return failed("poll");
    }
    if (to && ready[1].revents != 0) {
      const ssize_t n = write(to.get(), input.data(), input.size());
      if (n < 0 && errno != EINTR && errno != EAGAIN) return failed("can't write to it");
      if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
    }
    if (ready[0].revents == 0) continue;
    const ssize_t n = read(from.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("can't read from it");
    if (n == 0) return {};
    if (auto taken = take(Bytes(buffer).first(static_cast<std::size_t>(n))); !taken) return taken;
  }
}

} // namespace

Result<void> run_git(const std::vector<std::string>& arguments, std::string_view input,
                     const std::function<Result<void>(Bytes)>& take) {
  std::vector<std::string> words{"git", "--no-replace-objects"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word: words)
    argv.push_back(word.data());
  argv.push_back(nullptr);

  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (pipe2(in.data(), O_CLOEXEC) != 0) return failed("pipe");
  Fd child_in(in[0]);
  Fd to(in[1]);
  if (pipe2(out.data(), O_CLOEXEC) != 0) return failed("pipe");
  Fd from(out[0]);
  Fd child_out(out[1]);

  FileActions actions;
  posix_spawn_file_actions_adddup2(actions.get(), child_in.get(), 0);
  posix_spawn_file_actions_adddup2(actions.get(), child_out.get(), 1);
  posix_spawn_file_actions_addopen(actions.get(), 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, "git", actions.get(), nullptr, argv.data(), environ);
  if (error != 0) return Error{"git can't be started: " + std::string(std::strerror(error))};
  child_in.reset();
  child_out.reset();

  const Result<void> talked = converse(to, from, input, take);
  to.reset();
  from.reset();
  if (!talked) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return failed("wait");
  if (!talked) return talked;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Error{"git " + arguments.front() + " failed"};
  return {};
}

} // namespace hubgate
