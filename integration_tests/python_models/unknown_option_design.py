def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "unknown_option",
        dbt.config.meta_get("study"),
        units=dbt.ref("unknown_option_units"),
        session=session,
        scores=dbt.ref("unknown_option_scores"),
    )
