def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "null_outcome",
        dbt.config.meta_get("study"),
        units=dbt.ref("null_outcome_units"),
        scores=dbt.ref("null_outcome_scores"),
        gates=dbt.ref("null_outcome_gates"),
        session=session,
    )
