#pragma once
// Runs another program: Git for what it does better than a library, hooks that stand behind ours,
// the clients of the self-test.
#include "scanner/core/bytes.hpp"
#include "scanner/core/result.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace hubgate {

struct Program {
  std::vector<std::string> words;            ///< the first is looked up in PATH
  std::string_view input = {};               ///< its standard input; outlives the call
  std::filesystem::path directory = {};      ///< "" = ours
  std::vector<std::string> environment = {}; ///< "NAME=value"; empty = ours
  enum class Errors { dropped, with_output, ours } errors = Errors::dropped;
};

/// Runs it to its end and hands its standard output on in pieces. Returns the exit status, 128 and
/// the signal's number if it was killed. Fails if it can't be started or `take` fails, which kills
/// it.
Result<int> run_program(const Program& program, const std::function<Result<void>(Bytes)>& take);

struct ProgramOutcome {
  int status = 0;
  std::string output;
};

/// The same, keeping at most the first `most` bytes of the output.
Result<ProgramOutcome> run_and_read(const Program& program,
                                    std::size_t most = std::size_t{1} << 20);

} // namespace hubgate
