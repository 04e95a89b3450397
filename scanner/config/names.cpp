#include "scanner/config/names.hpp"

#include "scanner/formats/pickle/names.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate::config {
namespace {

bool is_first(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

enum class Last {
  classes, ///< the last part must be a class: CamelCase
  any,     ///< functions too
};

struct Prefix {
  std::string_view text;
  Last last;
};

// Packages whose classes are made for configurations: layers, optimisers, datasets, metrics,
// loggers, callbacks. Functions only where the whole module is arithmetic.
constexpr std::array k_prefixes{
    Prefix{"torch.nn.functional.", Last::any},
    Prefix{"torch.nn.init.", Last::any},
    Prefix{"torch.nn.", Last::classes},
    Prefix{"torch.optim.", Last::classes},
    Prefix{"torch.utils.data.", Last::classes},
    Prefix{"torch.distributions.", Last::classes},
    Prefix{"torchvision.transforms.", Last::classes},
    Prefix{"torchvision.models.", Last::any},
    Prefix{"torchaudio.transforms.", Last::classes},
    Prefix{"torchaudio.models.", Last::any},
    Prefix{"torchmetrics.", Last::classes},
    Prefix{"pytorch_lightning.", Last::classes},
    Prefix{"lightning.pytorch.", Last::classes},
    Prefix{"lightning.fabric.", Last::classes},
    Prefix{"lightning_fabric.", Last::classes},
    Prefix{"nemo.collections.", Last::classes},
    Prefix{"nemo.core.", Last::classes},
    Prefix{"nemo.lightning.", Last::classes},
    Prefix{"nemo.utils.", Last::classes},
    Prefix{"nemo_text_processing.", Last::classes},
    Prefix{"nemo_automodel.", Last::classes},
    Prefix{"megatron.core.", Last::classes},
    Prefix{"transformers.models.", Last::classes},
    Prefix{"diffusers.models.", Last::classes},
    Prefix{"diffusers.schedulers.", Last::classes},
    Prefix{"timm.models.", Last::any},
    Prefix{"monai.networks.", Last::classes},
    Prefix{"monai.losses.", Last::classes},
    Prefix{"monai.metrics.", Last::classes},
    Prefix{"monai.inferers.", Last::classes},
    Prefix{"monai.transforms.", Last::classes},
    Prefix{"speechbrain.nnet.", Last::any},
    Prefix{"speechbrain.lobes.", Last::any},
    Prefix{"speechbrain.processing.", Last::any},
    Prefix{"speechbrain.decoders.", Last::any},
    Prefix{"speechbrain.augment.", Last::any},
    Prefix{"speechbrain.dataio.sampler.", Last::any},
    Prefix{"speechbrain.dataio.batch.", Last::any},
    Prefix{"speechbrain.dataio.encoder.", Last::any},
    Prefix{"speechbrain.utils.metric_stats.", Last::any},
    Prefix{"speechbrain.utils.bleu.", Last::any},
    Prefix{"speechbrain.", Last::classes},
    Prefix{"sklearn.linear_model.", Last::classes},
    Prefix{"sklearn.ensemble.", Last::classes},
    Prefix{"sklearn.preprocessing.", Last::classes},
    Prefix{"fairseq2.models.", Last::classes},
    Prefix{"audiocraft.models.", Last::classes},
    Prefix{"gluonts.torch.", Last::classes},
    Prefix{"uni2ts.model.", Last::classes},
    Prefix{"uni2ts.loss.", Last::classes},
    Prefix{"uni2ts.distribution.", Last::classes},
    Prefix{"uni2ts.module.", Last::classes},
};

// Exact names: functions, and classes of packages that are not allowed as a whole.
constexpr std::array<std::string_view, 29> k_exact{
    "torch.manual_seed",
    "torch.device",
    "torch.tensor",
    "torch.float16",
    "torch.bfloat16",
    "torch.float32",
    "torch.float64",
    "torch.utils.data.random_split",
    "torch.relu",
    "torch.tanh",
    "torch.sigmoid",
    "random.seed",
    "numpy.random.seed",
    "transformers.get_linear_schedule_with_warmup",
    "transformers.get_cosine_schedule_with_warmup",
    "transformers.GPT2Config",
    "transformers.BertConfig",
    "pytorch_lightning.seed_everything",
    "lightning.seed_everything",
    "lightning.pytorch.seed_everything",
    "speechbrain.utils.seed_everything",
    "speechbrain.utils.seed.seed_everything",
    "speechbrain.utils.data_utils.undo_padding",
    "speechbrain.dataio.dataio.length_to_mask",
    "speechbrain.utils.data_utils.batch_pad_right",
    "speechbrain.dataio.dataio.read_audio",
    "nemo.collections.tts.torch.tts_data_types.Pitch",
    "nemo.collections.tts.parts.utils.helpers.plot_spectrogram_to_numpy",
    "sentencepiece.SentencePieceProcessor",
};

// Modules that everybody imports at the top of a file: `package.module.os.system` reaches them
// through any package that is allowed.
constexpr std::array<std::string_view, 34> k_modules{
    "os",          "posix",
    "nt",          "sys",
    "subprocess",  "importlib",
    "builtins",    "shutil",
    "socket",      "ctypes",
    "pickle",      "_pickle",
    "cpickle",     "cloudpickle",
    "dill",        "joblib",
    "runpy",       "pty",
    "marshal",     "tempfile",
    "urllib",      "urllib3",
    "requests",    "webbrowser",
    "functools",   "operator",
    "itertools",   "inspect",
    "pathlib",     "tarfile",
    "zipfile",     "code",
    "superpowers", "multiprocessing",
};
// The same below an allowed prefix only: packages have folders of these names.
constexpr std::array<std::string_view, 9> k_aliases{
    "torch", "np", "numpy", "pd", "pandas", "hydra", "omegaconf", "yaml", "huggingface_hub"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_dunder(std::string_view part) {
  return part.size() > 4 && part.starts_with("__") && part.ends_with("__") && part != "__init__" &&
         part != "__main__";
}

// Calls `visit` with each part behind the first.
template <typename Visit> bool any_later_part(std::string_view name, Visit visit) {
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos;) {
    const std::size_t next = name.find('.', dot + 1);
    if (visit(name.substr(dot + 1, std::min(next, name.size()) - dot - 1))) return true;
    dot = next;
  }
  return false;
}

bool is_allowed(std::string_view name) {
  if (among(k_exact, name)) return true;
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view last = name.substr(dot + 1);
  for (const Prefix& prefix: k_prefixes) {
    if (!name.starts_with(prefix.text)) continue;
    if (any_later_part(name, [](std::string_view part) { return among(k_aliases, part); }))
      return false;
    if (prefix.last == Last::any) return true;
    // A method of a class (`Class.from_pretrained`) is a call of its own.
    const std::size_t before = name.rfind('.', dot - 1);
    const std::string_view owner = before == std::string_view::npos
                                       ? name.substr(0, dot)
                                       : name.substr(before + 1, dot - before - 1);
    return is_upper(last[0]) && !is_upper(owner[0]);
  }
  return false;
}

// What the pickle format's tables say of data classes counts here; what they allow in the shape of
// a pickle only (getattr with a plain name) does not.
bool is_data_class(std::string_view module, std::string_view name) {
  using pickle::Use;
  const pickle::Verdict verdict = pickle::judge_name(module, name);
  if (verdict.standing != pickle::Standing::allowed) return false;
  switch (verdict.use) {
  case Use::reference:
  case Use::value:
  case Use::object:
  case Use::estimator:
  case Use::ordered_dict:
  case Use::module_class:
    return true;
  default:
    return false;
  }
}

} // namespace

bool is_identifier(std::string_view text) {
  return !text.empty() && is_first(text[0]) && std::all_of(text.begin(), text.end(), [](char c) {
    return is_first(c) || (c >= '0' && c <= '9');
  });
}

bool is_dotted_name(std::string_view text) {
  for (;;) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    if (!is_identifier(text.substr(0, dot))) return false;
    if (dot == text.size()) return true;
    text.remove_prefix(dot + 1);
  }
}

NameVerdict judge_target(std::string_view name) {
  if (name.size() > 512 || !is_dotted_name(name)) return {Standing::malformed, ""};
  if (any_later_part(name, is_dunder) || is_dunder(name.substr(0, name.find('.'))))
    return {Standing::dangerous, "reaches the inside of Python's objects"};
  // Known effects first: an exact name wins over the shape of a chain. Every split, because the
  // loader tries every split too.
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos;
       dot = name.find('.', dot + 1)) {
    std::string module(name.substr(0, dot));
    std::string rest(name.substr(dot + 1));
    pickle::map_python2(module, rest);
    const pickle::Verdict verdict = pickle::judge_name(module, rest);
    if (verdict.standing == pickle::Standing::dangerous) {
      if (among(k_exact, name)) break;
      return {Standing::dangerous, verdict.effect};
    }
  }
  const bool chain =
      any_later_part(name, [](std::string_view part) { return among(k_modules, part); });
  if (chain) return {Standing::dangerous, "reaches another module through a package's attributes"};
  if (is_allowed(name)) return {Standing::allowed, ""};
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) {
    if (is_data_class("builtins", name)) return {Standing::allowed, ""};
    const pickle::Verdict verdict = pickle::judge_name("builtins", name);
    if (verdict.standing == pickle::Standing::dangerous)
      return {Standing::dangerous, verdict.effect};
    return {Standing::private_code, ""};
  }
  if (is_data_class(name.substr(0, dot), name.substr(dot + 1))) return {Standing::allowed, ""};
  if (pickle::is_usual_package(name.substr(0, dot))) return {Standing::library_call, ""};
  return {Standing::private_code, ""};
}

NameVerdict judge_module(std::string_view name) {
  const NameVerdict verdict = judge_target(name);
  if (verdict.standing == Standing::dangerous || verdict.standing == Standing::malformed)
    return verdict;
  // A module all of whose names are harmful.
  const pickle::Verdict whole = pickle::judge_name(name, "anything");
  if (whole.standing == pickle::Standing::dangerous) return {Standing::dangerous, whole.effect};
  return verdict;
}

} // namespace hubgate::config
