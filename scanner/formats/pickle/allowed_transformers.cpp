// What trainers of language models leave beside the weights: arguments, enumerations, tokenizers.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::array k_allowed{
    Allowed{"transformers.training_args", "TrainingArguments OptimizerNames ParallelMode",
            Use::estimator},
    Allowed{"transformers.training_args_seq2seq", "Seq2SeqTrainingArguments", Use::estimator},
    Allowed{"transformers.trainer_utils",
            "IntervalStrategy SchedulerType HubStrategy EvaluationStrategy FSDPOption SaveStrategy "
            "EvalPrediction PredictionOutput TrainOutput RemoveColumnsCollator",
            Use::object},
    Allowed{"transformers.trainer_pt_utils", "AcceleratorConfig LabelSmoother", Use::object},
    Allowed{"transformers.utils.generic", "ExplicitEnum PaddingStrategy TensorType", Use::object},
    Allowed{"transformers.integrations.deepspeed", "HfTrainerDeepSpeedConfig HfDeepSpeedConfig",
            Use::estimator},
    Allowed{"transformers.deepspeed", "HfTrainerDeepSpeedConfig HfDeepSpeedConfig", Use::estimator},
    Allowed{"transformers.configuration_utils", "PretrainedConfig PreTrainedConfig", Use::object},
    Allowed{"transformers.tokenization_utils_base", "BatchEncoding AddedToken", Use::object},
    Allowed{"accelerate.state", "PartialState AcceleratorState DistributedType", Use::object},
    Allowed{"accelerate.utils.dataclasses",
            "DistributedType DeepSpeedPlugin FullyShardedDataParallelPlugin PrecisionType "
            "LoggerType DynamoBackend TorchDynamoPlugin RNGType SageMakerDistributedType "
            "GradientAccumulationPlugin",
            Use::estimator},
    Allowed{"trl.trainer.dpo_config", "DPOConfig FDivergenceType", Use::estimator},
    Allowed{"trl.trainer.sft_config", "SFTConfig", Use::estimator},
    Allowed{"trl.trainer.grpo_config", "GRPOConfig", Use::estimator},
    Allowed{"trl.trainer.ppo_config", "PPOConfig", Use::estimator},
    Allowed{"trl.trainer.orpo_config", "ORPOConfig", Use::estimator},
    Allowed{"trl.trainer.kto_config", "KTOConfig", Use::estimator},
    Allowed{"trl.trainer.reward_config", "RewardConfig", Use::estimator},
    Allowed{"tokenizers", "Tokenizer AddedToken Encoding", Use::object},
    Allowed{"tokenizers.models", "Model BPE WordPiece WordLevel Unigram", Use::object},
    Allowed{"omegaconf.dictconfig", "DictConfig", Use::object},
    Allowed{"omegaconf.listconfig", "ListConfig", Use::object},
    Allowed{"omegaconf.base", "ContainerMetadata Metadata Node", Use::object},
    Allowed{"omegaconf.nodes", "AnyNode StringNode IntegerNode FloatNode BooleanNode", Use::object},
    Allowed{"typing", "Any", Use::reference},
    Allowed{"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", Use::reference},
    Allowed{"pytorch_lightning.utilities.parsing", "AttributeDict", Use::object},
    Allowed{"lightning_fabric.utilities.data", "AttributeDict", Use::object},
    Allowed{"lightning.fabric.utilities.data", "AttributeDict", Use::object},
};

} // namespace

std::span<const Allowed> allowed_transformers() {
  return k_allowed;
}

} // namespace hubgate::pickle
