"""Bugs to plant in the loaders of attnlib.data: leaks and shifts that no error would show."""

from planting import Mutant

CORA = (
    "test_data_citations.test_a_table_of_words_becomes_features_labels_and_links_in_both_directions"
)
PLANETOID = (
    "test_data_citations.test_test_papers_go_to_their_numbers_and_a_gap_between_them_stays_unknown"
)
SEEDED = "test_data_citations.test_a_seeded_split_has_as_many_of_each_class_and_no_paper_twice"
HELD_OUT = (
    "test_data_recommendation."
    "test_the_last_item_of_each_user_is_for_test_and_the_one_before_for_validation"
)
TEXTS = "test_data_reviews.test_repeated_texts_are_kept_once_and_contradictory_ones_not_at_all"

MUTANTS = [
    Mutant(
        "citations in one direction",
        "data.citations",
        "np.concatenate([source * count + target, target * count + source])",
        "source * count + target",
        CORA,
    ),
    Mutant(
        "a paper that cites itself is its neighbour",
        "data.citations",
        "pairs[pairs[:, 0] != pairs[:, 1]].T",
        "pairs.T",
        CORA,
    ),
    Mutant(
        "test papers in the order of the file",
        "data.citations",
        "features[test], labels[test] = tx.dense(), ty.argmax(1)",
        "features[sorted(test)], labels[sorted(test)] = tx.dense(), ty.argmax(1)",
        PLANETOID,
    ),
    Mutant(
        "a paper without a subject gets the first one",
        "data.citations",
        "labels = np.full(count, -1, dtype=np.int64)",
        "labels = np.full(count, 0, dtype=np.int64)",
        PLANETOID,
    ),
    Mutant(
        "training papers may be test papers",
        "data.citations",
        "(train if taken[label] < labels_per_class else rest).append(paper)",
        "rest.append(paper), taken[label] < labels_per_class and train.append(paper)",
        SEEDED,
    ),
    Mutant(
        "a missing value comes from the future",
        "data.series",
        "places.cummax(0).values), observed",
        "places.flip(0).cummax(0).values.flip(0)), observed",
        "test_data_series.test_a_missing_value_is_the_last_one_before_it_and_never_one_after",
    ),
    Mutant(
        "a holiday is one hour long",
        "data.series",
        "np.isin(days, marked)",
        "np.isin(times, marked)",
        "test_data_series.test_traffic_has_one_row_an_hour_and_impossible_weather_counts_as_missing",
    ),
    Mutant(
        "the first item of a user is held out",
        "data.recommendation",
        'np.searchsorted(users, users, side="right") - 1 - np.arange(len(users))',
        "np.arange(len(users)) - np.searchsorted(users, users)",
        HELD_OUT,
    ),
    Mutant(
        "ratings in the order of items",
        "data.recommendation",
        "np.lexsort((items, times, users))",
        "np.lexsort((times, items, users))",
        HELD_OUT,
    ),
    Mutant(
        "the oldest items of a history",
        "data.recommendation",
        "(starts + counts - lengths)[:, None]",
        "starts[:, None]",
        "test_data_recommendation.test_a_history_is_the_last_items_the_oldest_first",
    ),
    Mutant(
        "volumes of the day before",
        "data.stocks",
        "volumes[np.isin(volume_days, days)]",
        "volumes[: len(days)]",
        "test_data_stocks.test_cash_is_no_stock_and_volumes_are_of_the_days_of_the_returns",
    ),
    Mutant(
        "unchecked translations",
        "data.translation",
        'if any(line.startswith("#,") and "fuzzy" in line for line in lines):',
        "if not lines:",
        "test_data_translation.test_a_readable_catalogue_gives_what_is_translated_and_checked",
    ),
    Mutant(
        "one translation in two parts",
        "data.translation",
        "group_split([numbers[target] for target in pairs.values()], list(pairs))",
        "group_split(range(len(pairs)), list(pairs))",
        "test_data_translation.test_sources_with_one_translation_are_in_one_part",
    ),
    Mutant(
        "a contradictory text keeps one label",
        "data.labelled",
        "if text and len(found) == 1}",
        "if text}",
        TEXTS,
    ),
    Mutant(
        "near duplicates in two parts",
        "data.labelled",
        "[compared(text) for text in kept])",
        '[""] * len(kept))',
        "test_data_reviews.test_near_duplicates_may_be_found_by_something_else_than_words",
    ),
    Mutant(
        "right answers counted from one",
        "data.answers",
        'tuple(int(number) - 1 for number in row["answers"])',
        'tuple(int(number) for number in row["answers"])',
        "test_data_answers."
        "test_answers_are_numbered_from_zero_and_questions_go_to_the_part_of_their_file",
    ),
    Mutant(
        "pages of one query in two parts",
        "data.ranking",
        "parts[starts[-7] : len(trained_on)] = 1",
        "parts[starts[-7] + 1 : len(trained_on)] = 1",
        "test_data_ranking.test_the_last_seven_queries_of_the_training_half_are_for_validation",
    ),
    Mutant(
        "the mean of a row of points rounded up",
        "data._png",
        "return (left + up) >> 1",
        "return (left + up + 1) >> 1",
        "test_data_images.test_every_filter_is_undone",
    ),
]
