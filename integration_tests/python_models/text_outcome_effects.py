def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "text_outcome",
        dbt.config.meta_get("study"),
        units=dbt.ref("text_outcome_units"),
        scores=dbt.ref("text_outcome_scores"),
        gates=dbt.ref("text_outcome_gates"),
        session=session,
    )
