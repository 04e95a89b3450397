#include "hook/program.hpp"

#include "scanner/worker/spool.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace hubgate {
namespace {

Error failed(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

class Spawn {
public:
  Spawn() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // We ignore SIGPIPE; others count on it.
    sigset_t usual;
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes_, &usual);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
  }
  ~Spawn() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;
  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
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
      if (n < 0 && errno == EPIPE)
        input = {}; // it may well not want to read it all
      else if (n < 0 && errno != EINTR && errno != EAGAIN)
        return failed("can't write to it");
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

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& word: words)
    out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

} // namespace

Result<int> run_program(const Program& program, const std::function<Result<void>(Bytes)>& take) {
  std::vector<std::string> words = program.words;
  std::vector<std::string> environment = program.environment;
  const std::vector<char*> argv = pointers_to(words);
  const std::vector<char*> envp = pointers_to(environment);

  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (pipe2(in.data(), O_CLOEXEC) != 0) return failed("pipe");
  Fd child_in(in[0]);
  Fd to(in[1]);
  if (pipe2(out.data(), O_CLOEXEC) != 0) return failed("pipe");
  Fd from(out[0]);
  Fd child_out(out[1]);

  Spawn spawn;
  posix_spawn_file_actions_adddup2(spawn.actions(), child_in.get(), 0);
  posix_spawn_file_actions_adddup2(spawn.actions(), child_out.get(), 1);
  if (program.errors == Program::Errors::dropped)
    posix_spawn_file_actions_addopen(spawn.actions(), 2, "/dev/null", O_WRONLY, 0);
  else if (program.errors == Program::Errors::with_output)
    posix_spawn_file_actions_adddup2(spawn.actions(), child_out.get(), 2);
  if (!program.directory.empty())
    posix_spawn_file_actions_addchdir_np(spawn.actions(), program.directory.c_str());
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, words.front().c_str(), spawn.actions(), spawn.attributes(),
                                 argv.data(), program.environment.empty() ? environ : envp.data());
  if (error != 0) return Error{words.front() + " can't be started: " + std::strerror(error)};
  child_in.reset();
  child_out.reset();

  const Result<void> talked = converse(to, from, program.input, take);
  to.reset();
  from.reset();
  if (!talked) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return failed("wait");
  if (!talked) return Error{words.front() + ": " + talked.error().message};
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<ProgramOutcome> run_and_read(const Program& program, std::size_t most) {
  ProgramOutcome out;
  const auto status = run_program(program, [&](Bytes bytes) -> Result<void> {
    out.output += as_text(bytes.first(std::min(bytes.size(), most - out.output.size())));
    return {};
  });
  if (!status) return status.error();
  out.status = *status;
  return out;
}

} // namespace hubgate
