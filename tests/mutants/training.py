"""Bugs to plant in attnlib.training."""

from planting import Mutant

LARGE = "test_training_steps.test_steps_of_several_batches_are_those_of_the_large_batches"
HALF = "test_training_steps.test_half_precision_equals_a_plain_loop_under_autocast_bit_for_bit"
OVERFLOW = (
    "test_training_steps.test_steps_that_overflow_are_left_out_and_not_counted_by_the_schedule"
)
SCHEDULE = "test_training_steps.test_a_schedule_can_follow_the_steps"
NOTHING = "test_training_steps.test_a_batch_whose_mean_is_over_nothing_is_nothing"

MUTANTS = [
    Mutant(
        "the parts of a step count alike",
        "training._epoch",
        "loss * count if parts else loss",
        "loss",
        LARGE,
    ),
    Mutant(
        "a short last step divided like a whole one",
        "training._epoch",
        ".div_(items)",
        ".div_(accumulate)",
        LARGE,
    ),
    Mutant(
        "a batch without items makes the step NaN",
        "training._epoch",
        "loss = torch.where(some, loss, torch.zeros_like(loss))",
        "pass",
        NOTHING,
    ),
    Mutant(
        "gradients of earlier steps stay", "training._epoch", "optimizer.zero_grad()", "pass", HALF
    ),
    Mutant(
        "clipped before it is unscaled", "training._epoch", "scaler.unscale_(optimizer)", "0", HALF
    ),
    Mutant(
        "the schedule counts the steps left out",
        "training._epoch",
        "if scheduler is not None and scaler.get_scale() >= scale:",
        "if scheduler is not None:",
        OVERFLOW,
    ),
    Mutant(
        "a schedule of steps follows the epochs as well",
        "training.loop",
        "elif scheduler is not None and every_step is None:",
        "elif scheduler is not None:",
        SCHEDULE,
    ),
    Mutant(
        "validated in another precision",
        "training.loop",
        "evaluate(model, val_loader, measures, precision=precision)",
        "evaluate(model, val_loader, measures)",
        HALF,
    ),
    Mutant(
        "the mean over batches, not over items",
        "training._batches",
        "sum(n * value for",
        "sum(sum(counts) / len(counts) * value for",
        "test_training.test_evaluate_weighs_by_the_number_that_the_measure_says",
    ),
    Mutant(
        "an ensemble of logits",
        "training.seeds",
        "outputs.log_softmax(-1).logsumexp(0) - math.log(len(self.models))",
        "outputs.mean(0).log_softmax(-1)",
        "test_training_seeds.test_an_ensemble_of_probabilities_is_the_log_of_their_mean",
    ),
    Mutant(
        "seeds that are never taken back",
        "training.seeds",
        "generator.set_state(state)",
        "pass",
        "test_training_seeds.test_the_numbers_drawn_afterwards_are_those_without_the_runs",
    ),
    Mutant(
        "the last process gets what is left over",
        "training.parallel",
        "rows[0] * r // self.processes",
        "min(rows[0], -(-rows[0] // self.processes) * r)",
        "test_training_parallel.test_the_shards_of_all_processes_are_the_batches",
    ),
]
